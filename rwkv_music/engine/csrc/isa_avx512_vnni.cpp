#include "forward.h"
#include "read.h"
#include "simd_avx512.h"

namespace rwkv {

extern const InstructionSet isa_avx512_vnni;
const InstructionSet isa_avx512_vnni{"avx512_vnni", forward<Avx512<false>>, read<Avx512<false>>};

}  // namespace rwkv
