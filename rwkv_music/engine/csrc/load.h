// Official tensors to packed weights.
#pragma once

#include "model.h"

namespace rwkv {

Weights load(Arena& arena, const Shape& shape, int bits, const Tensors& tensors);

// What one token reads: every matrix and vector once; one row of the embedding and of `enn`.
std::size_t bytes_per_token(const Weights& weights);

}  // namespace rwkv
