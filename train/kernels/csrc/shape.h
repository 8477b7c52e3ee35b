// What every form of the kernels agrees on: sizes, where each number lies, the numbers themselves.
//
// Inputs, outputs and their gradients: [B, T, H, 64], contiguous. States: [B, H, 64 (value i),
// 64 (key j)], float32. Kept for the backward: the state before every 64th step, [B, H, T / 64
// rounded up, 64, 64], and u_t = S_{t-1} a_t, [B, T, H, 64], both float32: 8 bytes a channel.
// Decay unit: log_w, the natural logarithm of the factor.
#pragma once

#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define WKV7_ANYWHERE __host__ __device__ __forceinline__
#else
#define WKV7_ANYWHERE inline
#endif

namespace wkv7 {

constexpr int kSize = 64;     // N, of a head
constexpr int kSegment = 64;  // steps from one kept state to the next
constexpr int kState = kSize * kSize;

struct Shape {
  int batch, steps, heads;

  WKV7_ANYWHERE int segments() const { return (steps + kSegment - 1) / kSegment; }
  // The first of a step's 64 numbers; the next step's lie `stride()` further.
  WKV7_ANYWHERE std::int64_t at(int b, int t, int h) const {
    return ((std::int64_t(b) * steps + t) * heads + h) * kSize;
  }
  WKV7_ANYWHERE std::int64_t stride() const { return std::int64_t(heads) * kSize; }
  WKV7_ANYWHERE std::int64_t state(int b, int h) const {
    return (std::int64_t(b) * heads + h) * kState;
  }
  WKV7_ANYWHERE std::int64_t kept(int b, int h, int segment) const {
    return ((std::int64_t(b) * heads + h) * segments() + segment) * kState;
  }
};

struct bf16 {
  std::uint16_t bits;
};

WKV7_ANYWHERE float bits_to_float(std::uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

WKV7_ANYWHERE std::uint32_t float_to_bits(float x) {
  std::uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

WKV7_ANYWHERE float widen(float x) { return x; }
WKV7_ANYWHERE float widen(bf16 x) { return bits_to_float(std::uint32_t(x.bits) << 16); }

WKV7_ANYWHERE void narrow(float x, float& to) { to = x; }
WKV7_ANYWHERE void narrow(float x, bf16& to) {  // to the nearest, ties to even; NaN stays NaN
  const std::uint32_t bits = float_to_bits(x);
  const std::uint32_t nearest = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  to.bits = std::uint16_t((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : nearest);
}

// Null where there is none: initial_state (zero), resets [B, T]; states and u where no gradient
// will be asked for.
template <class T>
struct Forward {
  const T *r, *log_w, *k, *v, *a, *b;
  const float* initial_state;
  const bool* resets;
  T* y;
  float *final_state, *states, *u;
};

// d_y and d_final_state may be null: zero.
template <class T>
struct Backward {
  const T *r, *log_w, *k, *v, *a, *b;
  const bool* resets;
  const float *states, *u;
  const T* d_y;
  const float* d_final_state;
  T *d_r, *d_log_w, *d_k, *d_v, *d_a, *d_b;
  float* d_initial_state;
};

}  // namespace wkv7
