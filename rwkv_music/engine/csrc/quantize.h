// float32 matrices to the layout and the precision that they are multiplied in.
#pragma once

#include <cstddef>

#include "packed.h"

namespace rwkv {

// A float32 matrix anywhere in memory; strides in values.
struct Source {
  const float* data;
  int outputs, inputs;
  std::ptrdiff_t output_stride, input_stride;
};

// Fills data [layout.bytes()] and scales [layout.scale_bytes()], which are zero before.
// bfloat16: to the nearest, ties to even. int8: one scale for each output, its largest weight at
// 127. int4: for each output and group of inputs the scale with the least squared error of a few.
void pack(const Matrix& layout, const Source& source, std::byte* data, std::byte* scales);

}  // namespace rwkv
