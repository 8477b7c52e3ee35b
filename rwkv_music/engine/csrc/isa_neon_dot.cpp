#include "forward.h"
#include "simd_neon.h"

namespace rwkv {

extern const Forward forward_neon_dot;
const Forward forward_neon_dot = forward<Neon<true>>;

}  // namespace rwkv
