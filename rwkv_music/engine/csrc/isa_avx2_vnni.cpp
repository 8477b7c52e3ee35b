#include "forward.h"
#include "simd_avx2.h"

namespace rwkv {

extern const Forward forward_avx2_vnni;
const Forward forward_avx2_vnni = forward<Avx2<true>>;

}  // namespace rwkv
