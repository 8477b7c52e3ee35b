#include "forward.h"
#include "simd_avx512.h"

namespace rwkv {

extern const Forward forward_avx512_bf16;
const Forward forward_avx512_bf16 = forward<Avx512<true>>;

}  // namespace rwkv
