#include "forward.h"
#include "read.h"
#include "simd_scalar.h"

namespace rwkv {

extern const InstructionSet isa_scalar;
const InstructionSet isa_scalar{"scalar", forward<Scalar>, read<Scalar>};

}  // namespace rwkv
