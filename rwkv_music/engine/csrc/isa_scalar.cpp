#include "forward.h"
#include "simd_scalar.h"

namespace rwkv {

extern const Forward forward_scalar;
const Forward forward_scalar = forward<Scalar>;

}  // namespace rwkv
