// NEON of 64-bit ARM: sixteen lanes are four registers. See simd_scalar.h for what each function
// means.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace rwkv {

template <bool has_dot>
struct Neon {
  struct F {
    float32x4_t q[4];
  };
  struct I {
    int32x4_t q[4];
  };
  struct Bytes {
    int8x16_t q[4];
  };
  struct Nibbles {
    Bytes low, high;
  };
  struct Pairs {
    F even, odd;
  };
  using Bf16Input = float;
  static constexpr int kRegisters = 8;
  static constexpr bool kPrefetches = true;

  static F zero() { return set(0); }
  static F set(float x) {
    const float32x4_t q = vdupq_n_f32(x);
    return {{q, q, q, q}};
  }
  static F load(const float* p) {
    return {{vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}};
  }
  static void store(float* p, F x) {
    for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, x.q[i]);
  }
  static F add(F x, F y) {
    return each([&](int i) { return vaddq_f32(x.q[i], y.q[i]); });
  }
  static F sub(F x, F y) {
    return each([&](int i) { return vsubq_f32(x.q[i], y.q[i]); });
  }
  static F mul(F x, F y) {
    return each([&](int i) { return vmulq_f32(x.q[i], y.q[i]); });
  }
  static F div(F x, F y) {
    return each([&](int i) { return vdivq_f32(x.q[i], y.q[i]); });
  }
  static F fma(F x, F y, F z) {
    return each([&](int i) { return vfmaq_f32(z.q[i], x.q[i], y.q[i]); });
  }
  static F max(F x, F y) {
    return each([&](int i) { return vmaxq_f32(x.q[i], y.q[i]); });
  }
  static F min(F x, F y) {
    return each([&](int i) { return vminq_f32(x.q[i], y.q[i]); });
  }
  static F abs(F x) {
    return each([&](int i) { return vabsq_f32(x.q[i]); });
  }
  static F round(F x) {
    return each([&](int i) { return vrndnq_f32(x.q[i]); });
  }
  static F scale2(F x, F n) {
    return each([&](int i) {
      const int32x4_t exponent = vaddq_s32(vcvtnq_s32_f32(n.q[i]), vdupq_n_s32(127));
      return vmulq_f32(x.q[i], vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23)));
    });
  }
  static float sum(F x) { return vaddvq_f32(quarter(x)); }
  static float maximum(F x) {
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(x.q[0], x.q[1]), vmaxq_f32(x.q[2], x.q[3])));
  }
  static F sums(const F (&v)[16]) {
    return each([&](int i) {
      return vpaddq_f32(vpaddq_f32(quarter(v[4 * i]), quarter(v[4 * i + 1])),
                        vpaddq_f32(quarter(v[4 * i + 2]), quarter(v[4 * i + 3])));
    });
  }

  static F maxima(const F (&v)[16]) {
    const auto most = [](const F& x) {
      return vmaxq_f32(vmaxq_f32(x.q[0], x.q[1]), vmaxq_f32(x.q[2], x.q[3]));
    };
    return each([&](int i) {
      return vpmaxq_f32(vpmaxq_f32(most(v[4 * i]), most(v[4 * i + 1])),
                        vpmaxq_f32(most(v[4 * i + 2]), most(v[4 * i + 3])));
    });
  }

  static I to_int(F x) {
    return each_int([&](int i) { return vcvtnq_s32_f32(x.q[i]); });
  }
  static F to_float(I x) {
    return each([&](int i) { return vcvtq_f32_s32(x.q[i]); });
  }
  static I zero_int() { return set_int(0); }
  static I add_int(I x, I y) {
    return each_int([&](int i) { return vaddq_s32(x.q[i], y.q[i]); });
  }
  static void store_int(std::int32_t* p, I x) {
    for (int i = 0; i < 4; ++i) vst1q_s32(p + 4 * i, x.q[i]);
  }
  static void store_int8(std::int8_t* p, I x) {
    const int16x8_t low = vcombine_s16(vqmovn_s32(x.q[0]), vqmovn_s32(x.q[1]));
    const int16x8_t high = vcombine_s16(vqmovn_s32(x.q[2]), vqmovn_s32(x.q[3]));
    vst1q_s8(p, vcombine_s8(vqmovn_s16(low), vqmovn_s16(high)));
  }

  static F load_bf16(const std::uint16_t* p) {
    return each([&](int i) {
      return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16));
    });
  }
  static void store_bf16_input(Bf16Input* p, F x) { store(p, x); }
  static Pairs load_pairs(const std::byte* p) {
    const auto* bits = reinterpret_cast<const std::uint8_t*>(p);
    Pairs w;
    for (int i = 0; i < 4; ++i) {
      const uint32x4_t q = vreinterpretq_u32_u8(vld1q_u8(bits + 16 * i));
      w.even.q[i] = vreinterpretq_f32_u32(vshlq_n_u32(q, 16));
      w.odd.q[i] = vreinterpretq_f32_u32(vandq_u32(q, vdupq_n_u32(0xffff0000u)));
    }
    return w;
  }
  static F dot_pairs(F sum, const Pairs& w, const Bf16Input* x) {
    return fma(w.odd, set(x[1]), fma(w.even, set(x[0]), sum));
  }

  // Signed times signed is at hand here: what the weights are stored too high is taken off them.
  static Bytes load_bytes(const std::byte* p) {
    Bytes w;
    for (int i = 0; i < 4; ++i)
      w.q[i] = vreinterpretq_s8_u8(veorq_u8(load_16(p + 16 * i), vdupq_n_u8(128)));
    return w;
  }
  static I start_bytes(std::int32_t) { return zero_int(); }
  static I dot_bytes(I sum, const Bytes& w, const std::int8_t* x) {
    const int8x16_t four = broadcast(x);
    return each_int([&](int i) { return dot(sum.q[i], w.q[i], four); });
  }
  static Nibbles load_nibbles(const std::byte* p) {
    Nibbles w;
    for (int i = 0; i < 4; ++i) {
      const uint8x16_t bits = load_16(p + 16 * i);
      w.low.q[i] = vreinterpretq_s8_u8(vandq_u8(bits, vdupq_n_u8(15)));
      w.high.q[i] = vreinterpretq_s8_u8(vshrq_n_u8(bits, 4));
    }
    return w;
  }
  static I start_nibbles(std::int32_t sum_of_x) { return set_int(-8 * sum_of_x); }
  static I dot_nibbles(I sum, const Nibbles& w, const std::int8_t* x) {
    return dot_bytes(dot_bytes(sum, w.low, x), w.high, x + 4);
  }

  static void prefetch(const std::byte* p) { __builtin_prefetch(p); }

 private:
  template <class Quarter>
  static F each(Quarter quarter_of) {
    return {{quarter_of(0), quarter_of(1), quarter_of(2), quarter_of(3)}};
  }
  template <class Quarter>
  static I each_int(Quarter quarter_of) {
    return {{quarter_of(0), quarter_of(1), quarter_of(2), quarter_of(3)}};
  }
  static I set_int(std::int32_t x) {
    const int32x4_t q = vdupq_n_s32(x);
    return {{q, q, q, q}};
  }
  static float32x4_t quarter(F x) {
    return vaddq_f32(vaddq_f32(x.q[0], x.q[1]), vaddq_f32(x.q[2], x.q[3]));
  }
  static uint8x16_t load_16(const std::byte* p) {
    return vld1q_u8(reinterpret_cast<const std::uint8_t*>(p));
  }
  static int8x16_t broadcast(const void* four_bytes) {
    std::int32_t bits;
    std::memcpy(&bits, four_bytes, sizeof bits);
    return vreinterpretq_s8_s32(vdupq_n_s32(bits));
  }
  // Adds four products of bytes to each sum.
  static int32x4_t dot(int32x4_t sum, int8x16_t w, int8x16_t x) {
#if defined(__ARM_FEATURE_DOTPROD)
    if constexpr (has_dot) return vdotq_s32(sum, w, x);
#endif
    // Two products of at most 127 x 127 fit into 16 bits.
    const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x));
    return vpadalq_s16(sum, vpaddq_s16(low, vmull_high_s8(w, x)));
  }
};

}  // namespace rwkv
