#include "forward.h"
#include "simd_avx2.h"

namespace rwkv {

extern const Forward forward_avx2;
const Forward forward_avx2 = forward<Avx2<false>>;

}  // namespace rwkv
