#include "forward.h"
#include "simd_neon.h"

namespace rwkv {

extern const Forward forward_neon;
const Forward forward_neon = forward<Neon<false>>;

}  // namespace rwkv
