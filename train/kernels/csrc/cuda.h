// The recurrence on a GPU: what the binding calls. No header of torch or CUDA is needed here.
#pragma once

#include "shape.h"

namespace wkv7 {

// Of a head's 64 rows of the state, how many a block gets: 64, or 32 where there are so few heads
// that much of the GPU would have nothing to do.
int rows_of_a_block(const Shape& shape);

// Floats that `launch_backward` needs at `partial`; none where blocks have all rows.
std::int64_t partial_size(const Shape& shape, int rows);

// Both put their kernels into a stream (a cudaStream_t) of the current device and return: null, or
// what CUDA says is wrong. `rows`: 64 or 32.
template <class T>
const char* launch_forward(const Shape& shape, const Forward<T>& call, int rows, void* stream);

template <class T>
const char* launch_backward(const Shape& shape, const Backward<T>& call, float* partial, int rows,
                            void* stream);

}  // namespace wkv7
