#include "forward.h"
#include "read.h"
#include "simd_avx2.h"

namespace rwkv {

extern const InstructionSet isa_avx2_vnni;
const InstructionSet isa_avx2_vnni{"avx2_vnni", forward<Avx2<true>>, read<Avx2<true>>};

}  // namespace rwkv
