// Steps of one head brought from memory into float32 and back.
#pragma once

#include <cstdlib>
#include <memory>
#include <new>

#include "shape.h"

namespace wkv7 {

// e^x for x <= 0 to about two units in the last place; written so that compilers vectorise loops
// over it. Adding 1.5 * 2^23 leaves the nearest whole number in the low bits.
inline float exp_of_negative(float x) {
  x = x < -87.0f ? -87.0f : x;
  const float shifted = x * 1.44269504f + 12582912.0f;
  const float n = shifted - 12582912.0f;
  const float f = (x - n * 0.693145752f) - n * 1.42860677e-6f;
  float p = 1.9841270e-4f;
  p = p * f + 1.3888889e-3f;
  p = p * f + 8.3333333e-3f;
  p = p * f + 4.1666667e-2f;
  p = p * f + 0.16666667f;
  p = p * f + 0.5f;
  p = p * f + 1.0f;
  p = p * f + 1.0f;
  return bits_to_float(float_to_bits(p) + (float_to_bits(shifted) << 23));
}

// `steps` rows of 64 numbers, which lie `stride` apart in memory.
template <class T>
inline void gather(const T* from, std::int64_t stride, int steps, float* to) {
  for (int s = 0; s < steps; ++s)
    for (int j = 0; j < kSize; ++j) to[s * kSize + j] = widen(from[s * stride + j]);
}

template <class T>
inline void gather_decay(const T* log_w, std::int64_t stride, int steps, float* to) {
  for (int s = 0; s < steps; ++s)
    for (int j = 0; j < kSize; ++j)
      to[s * kSize + j] = exp_of_negative(widen(log_w[s * stride + j]));
}

template <class T>
inline void scatter(const float* from, std::int64_t stride, int steps, T* to) {
  for (int s = 0; s < steps; ++s)
    for (int j = 0; j < kSize; ++j) narrow(from[s * kSize + j], to[s * stride + j]);
}

// Room for `count` floats that begins at a cache line.
class Scratch {
 public:
  explicit Scratch(std::size_t count)
      : data_(static_cast<float*>(::operator new(count * sizeof(float), kLine))) {}
  ~Scratch() { ::operator delete(data_, kLine); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  float* take(std::size_t count) {
    float* taken = data_ + used_;
    used_ += count;
    return taken;
  }

 private:
  static constexpr std::align_val_t kLine{64};
  float* data_;
  std::size_t used_ = 0;
};

}  // namespace wkv7
