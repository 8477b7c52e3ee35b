// Sixteen lanes as plain loops: the meaning of every vector function, and the path of processors
// without one of their own.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace rwkv {

struct Scalar {
  struct F {
    float lane[16];
  };
  struct I {
    std::int32_t lane[16];
  };
  struct Bytes {  // 16 outputs x 4 inputs, q + 128
    std::uint8_t lane[64];
  };
  struct Nibbles {  // 16 outputs x (4 + 4) inputs, q + 8
    std::uint8_t lane[64];
  };
  struct Pairs {
    F even, odd;
  };
  using Bf16Input = float;  // what activations become before they meet bfloat16 weights
  static constexpr int kRegisters = 4;  // of sixteen lanes: what SSE2 has
  static constexpr bool kPrefetches = false;

  static F zero() { return set(0); }
  static F set(float x) {
    return each([=](int) { return x; });
  }
  static F load(const float* p) {
    return each([=](int i) { return p[i]; });
  }
  static void store(float* p, const F& x) { std::memcpy(p, x.lane, sizeof x.lane); }
  static F add(const F& a, const F& b) {
    return each([&](int i) { return a.lane[i] + b.lane[i]; });
  }
  static F sub(const F& a, const F& b) {
    return each([&](int i) { return a.lane[i] - b.lane[i]; });
  }
  static F mul(const F& a, const F& b) {
    return each([&](int i) { return a.lane[i] * b.lane[i]; });
  }
  static F div(const F& a, const F& b) {
    return each([&](int i) { return a.lane[i] / b.lane[i]; });
  }
  static F fma(const F& a, const F& b, const F& c) {  // a b + c
    return each([&](int i) { return a.lane[i] * b.lane[i] + c.lane[i]; });
  }
  static F max(const F& a, const F& b) {
    return each([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  static F min(const F& a, const F& b) {
    return each([&](int i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
  }
  static F abs(const F& a) {
    return each([&](int i) { return std::fabs(a.lane[i]); });
  }
  static F round(const F& a) {
    return each([&](int i) { return std::nearbyint(a.lane[i]); });
  }
  static F scale2(const F& a, const F& n) {  // a 2^n, n whole, from -126 to 127
    return each([&](int i) {
      const std::uint32_t bits = static_cast<std::uint32_t>(static_cast<int>(n.lane[i]) + 127) << 23;
      float power;
      std::memcpy(&power, &bits, sizeof power);
      return a.lane[i] * power;
    });
  }
  static float sum(const F& a) {
    float half[8];
    for (int i = 0; i < 8; ++i) half[i] = a.lane[i] + a.lane[i + 8];
    for (int n = 4; n > 0; n /= 2)
      for (int i = 0; i < n; ++i) half[i] += half[i + n];
    return half[0];
  }
  static float maximum(const F& a) {
    float most = a.lane[0];
    for (int i = 1; i < 16; ++i) most = a.lane[i] > most ? a.lane[i] : most;
    return most;
  }
  static F sums(const F (&v)[16]) {  // the sixteen sums of sixteen vectors
    return each([&](int i) { return sum(v[i]); });
  }

  static F maxima(const F (&v)[16]) {  // their sixteen largest lanes
    return each([&](int i) { return maximum(v[i]); });
  }

  static I to_int(const F& a) {  // to the nearest, ties to even
    I y;
    for (int i = 0; i < 16; ++i) y.lane[i] = static_cast<std::int32_t>(std::nearbyint(a.lane[i]));
    return y;
  }
  static F to_float(const I& a) {
    return each([&](int i) { return static_cast<float>(a.lane[i]); });
  }
  static I add_int(const I& a, const I& b) {
    I y;
    for (int i = 0; i < 16; ++i) y.lane[i] = a.lane[i] + b.lane[i];
    return y;
  }
  static void store_int(std::int32_t* p, const I& a) { std::memcpy(p, a.lane, sizeof a.lane); }
  static void store_int8(std::int8_t* p, const I& a) {
    for (int i = 0; i < 16; ++i) p[i] = static_cast<std::int8_t>(a.lane[i]);
  }

  static F load_bf16(const std::uint16_t* p) {
    return each([=](int i) { return widen(p[i]); });
  }
  static void store_bf16_input(Bf16Input* p, const F& a) { store(p, a); }
  static Pairs load_pairs(const std::byte* p) {
    std::uint16_t bits[32];
    std::memcpy(bits, p, sizeof bits);
    return {each([&](int i) { return widen(bits[2 * i]); }),
            each([&](int i) { return widen(bits[2 * i + 1]); })};
  }
  static F dot_pairs(const F& sum, const Pairs& w, const Bf16Input* x) {
    return fma(w.odd, set(x[1]), fma(w.even, set(x[0]), sum));
  }

  // The sum of a group starts at start_*, so that what the weights are stored too high is taken off.
  static Bytes load_bytes(const std::byte* p) {
    Bytes w;
    std::memcpy(w.lane, p, sizeof w.lane);
    return w;
  }
  static I start_bytes(std::int32_t sum_of_x) { return set_int(-128 * sum_of_x); }
  static I dot_bytes(I sum, const Bytes& w, const std::int8_t* x) {
    for (int i = 0; i < 16; ++i) {
      const std::uint8_t* four = w.lane + 4 * i;
      sum.lane[i] += four[0] * x[0] + four[1] * x[1] + four[2] * x[2] + four[3] * x[3];
    }
    return sum;
  }
  static Nibbles load_nibbles(const std::byte* p) {
    Nibbles w;
    std::memcpy(w.lane, p, sizeof w.lane);
    return w;
  }
  static I start_nibbles(std::int32_t sum_of_x) { return set_int(-8 * sum_of_x); }
  static I dot_nibbles(I sum, const Nibbles& w, const std::int8_t* x) {
    Bytes low, high;
    for (int i = 0; i < 64; ++i) {
      low.lane[i] = w.lane[i] & 15;
      high.lane[i] = w.lane[i] >> 4;
    }
    return dot_bytes(dot_bytes(sum, low, x), high, x + 4);
  }

  static void prefetch(const std::byte*) {}

 private:
  template <class Lane>
  static F each(Lane lane) {
    F y;
    for (int i = 0; i < 16; ++i) y.lane[i] = lane(i);
    return y;
  }
  static I set_int(std::int32_t x) {
    I y;
    for (std::int32_t& lane : y.lane) lane = x;
    return y;
  }
  static float widen(std::uint16_t bf16) {
    const std::uint32_t bits = static_cast<std::uint32_t>(bf16) << 16;
    float y;
    std::memcpy(&y, &bits, sizeof y);
    return y;
  }
};

}  // namespace rwkv
