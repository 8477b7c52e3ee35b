#include "forward.h"
#include "read.h"
#include "simd_avx2.h"

namespace rwkv {

extern const InstructionSet isa_avx2;
const InstructionSet isa_avx2{"avx2", forward<Avx2<false>>, read<Avx2<false>>};

}  // namespace rwkv
