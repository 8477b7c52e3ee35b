// Activations in the form that a matrix's format multiplies: float32, bfloat16, or int8 with one
// scale for each group of kGroup inputs (so that an outlier costs its own group's precision only).
#pragma once

#include <cstdint>
#include <cstring>

#include "packed.h"

namespace rwkv {

// Rows of one product's left side; memory belongs to the workspace.
struct Input {
  std::byte* data = nullptr;     // [row][inputs] of float, bfloat16 or int8
  float* scales = nullptr;       // int8: [row][group]
  std::int32_t* sums = nullptr;  // int8: [row][group], sums of the bytes of a group
  int inputs = 0;

  template <class Element>
  Element* row(int r) const {
    return reinterpret_cast<Element*>(data) + static_cast<std::size_t>(r) * inputs;
  }
  int groups() const { return inputs / kGroup; }
};

template <class S>
void quantise_row(const float* x, const Input& input, int r) {
  std::int8_t* bytes = input.row<std::int8_t>(r);
  float* scales = input.scales + r * input.groups();
  std::int32_t* sums = input.sums + r * input.groups();
  for (int g = 0; g < input.groups(); ++g, x += kGroup, bytes += kGroup) {
    typename S::F most = S::abs(S::load(x));
    for (int i = 16; i < kGroup; i += 16) most = S::max(most, S::abs(S::load(x + i)));
    const float largest = S::maximum(most);
    const typename S::F inverse = S::set(largest > 0 ? 127 / largest : 0);
    typename S::I sum = S::zero_int();
    for (int i = 0; i < kGroup; i += 16) {
      const typename S::I q = S::to_int(S::mul(S::load(x + i), inverse));
      S::store_int8(bytes + i, q);
      sum = S::add_int(sum, q);
    }
    scales[g] = largest / 127;
    sums[g] = S::sum_int(sum);
  }
}

// Row r of `input` becomes x[inputs], for a matrix of this format.
template <class S>
void prepare_row(Format format, const float* x, const Input& input, int r) {
  if (format == Format::float32) {
    std::memcpy(input.row<float>(r), x, input.inputs * sizeof(float));
  } else if (format == Format::bfloat16) {
    auto* row = input.row<typename S::Bf16Input>(r);
    for (int i = 0; i < input.inputs; i += 16) S::store_bf16_input(row + i, S::load(x + i));
  } else {
    quantise_row<S>(x, input, r);
  }
}

}  // namespace rwkv
