#include "forward.h"
#include "read.h"
#include "simd_neon.h"

namespace rwkv {

extern const InstructionSet isa_neon_dot;
const InstructionSet isa_neon_dot{"neon_dot", forward<Neon<true>>, read<Neon<true>>};

}  // namespace rwkv
