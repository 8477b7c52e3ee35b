#include "forward.h"
#include "read.h"
#include "simd_neon.h"

namespace rwkv {

extern const InstructionSet isa_neon;
const InstructionSet isa_neon{"neon", forward<Neon<false>>, read<Neon<false>>};

}  // namespace rwkv
