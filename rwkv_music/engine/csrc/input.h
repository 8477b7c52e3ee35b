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

constexpr float kLeastLargest = 1e-30f;  // a group with nothing larger is zeros

// Sixteen groups at a time, of one row or several, so that their largest values, scales and sums are
// a vector each.
template <class S>
void quantise_rows(const float* x, const Input& input, int row, int rows) {
  using F = typename S::F;
  std::int8_t* bytes = input.row<std::int8_t>(row);
  const int groups = rows * input.groups();
  for (int first = 0; first < groups; first += kLanes) {
    const int count = groups - first < kLanes ? groups - first : kLanes;
    F most[kLanes], sums[kLanes];
    for (int g = 0; g < kLanes; ++g) most[g] = sums[g] = S::zero();
    for (int g = 0; g < count; ++g)
      most[g] = S::max(S::abs(S::load(x + g * kGroup)), S::abs(S::load(x + g * kGroup + 16)));
    const F largest = S::maxima(most);
    alignas(64) float scales[kLanes], inverses[kLanes];
    S::store(scales, S::div(largest, S::set(127)));
    S::store(inverses, S::div(S::set(127), S::max(largest, S::set(kLeastLargest))));
    for (int g = 0; g < count; ++g, x += kGroup, bytes += kGroup) {
      const F inverse = S::set(inverses[g]);
      const typename S::I low = S::to_int(S::mul(S::load(x), inverse)),
                          high = S::to_int(S::mul(S::load(x + 16), inverse));
      S::store_int8(bytes, low);
      S::store_int8(bytes + 16, high);
      sums[g] = S::to_float(S::add_int(low, high));
    }
    alignas(64) std::int32_t totals[kLanes];
    S::store_int(totals, S::to_int(S::sums(sums)));
    const int at = row * input.groups() + first;
    std::memcpy(input.scales + at, scales, count * sizeof(float));
    std::memcpy(input.sums + at, totals, count * sizeof(std::int32_t));
  }
}

// Rows [row, row + rows) of `input` become x[rows][inputs], for a matrix of this format.
template <class S>
void prepare_rows(Format format, const float* x, const Input& input, int row, int rows) {
  const int count = rows * input.inputs;
  if (format == Format::float32) {
    std::memcpy(input.row<float>(row), x, count * sizeof(float));
  } else if (format == Format::bfloat16) {
    auto* to = input.row<typename S::Bf16Input>(row);
    for (int i = 0; i < count; i += 16) S::store_bf16_input(to + i, S::load(x + i));
  } else {
    quantise_rows<S>(x, input, row, rows);
  }
}

}  // namespace rwkv
