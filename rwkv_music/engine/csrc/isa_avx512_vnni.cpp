#include "forward.h"
#include "simd_avx512.h"

namespace rwkv {

extern const Forward forward_avx512_vnni;
const Forward forward_avx512_vnni = forward<Avx512<false>>;

}  // namespace rwkv
