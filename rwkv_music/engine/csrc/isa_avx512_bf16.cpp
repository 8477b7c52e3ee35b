#include "forward.h"
#include "read.h"
#include "simd_avx512.h"

namespace rwkv {

extern const InstructionSet isa_avx512_bf16;
const InstructionSet isa_avx512_bf16{"avx512_bf16", forward<Avx512<true>>, read<Avx512<true>>};

}  // namespace rwkv
