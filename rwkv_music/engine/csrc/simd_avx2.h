// AVX2 with FMA: sixteen lanes are two registers. See simd_scalar.h for what each function means.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace rwkv {

template <bool has_vnni>
struct Avx2 {
  struct F {
    __m256 a, b;
  };
  struct I {
    __m256i a, b;
  };
  using Bytes = I;
  struct Nibbles {
    I low, high;
  };
  struct Pairs {
    F even, odd;
  };
  using Bf16Input = float;
  static constexpr int kRegisters = 8;
  static constexpr bool kPrefetches = true;

  static F zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static F set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static void store(float* p, F x) {
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
  }
  static F add(F x, F y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
  static F sub(F x, F y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
  static F mul(F x, F y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
  static F div(F x, F y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
  static F fma(F x, F y, F z) {
    return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
  }
  static F max(F x, F y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
  static F min(F x, F y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
  static F abs(F x) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return {_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
  }
  static F round(F x) {
    return {_mm256_round_ps(x.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
            _mm256_round_ps(x.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  static F scale2(F x, F n) { return mul(x, {power2(n.a), power2(n.b)}); }
  static float sum(F x) {
    __m128 y = quarter(x);
    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
  }
  static float maximum(F x) {
    const __m256 y = _mm256_max_ps(x.a, x.b);
    __m128 z = _mm_max_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_max_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_max_ss(z, _mm_movehdup_ps(z)));
  }
  static F sums(const F (&v)[16]) {
    __m128 y[4];
    for (int i = 0; i < 4; ++i)
      y[i] = _mm_hadd_ps(_mm_hadd_ps(quarter(v[4 * i]), quarter(v[4 * i + 1])),
                         _mm_hadd_ps(quarter(v[4 * i + 2]), quarter(v[4 * i + 3])));
    return {_mm256_set_m128(y[1], y[0]), _mm256_set_m128(y[3], y[2])};
  }

  static F maxima(const F (&v)[16]) {
    float most[16];
    for (int i = 0; i < 16; ++i) most[i] = maximum(v[i]);
    return load(most);
  }

  static I to_int(F x) { return {_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)}; }
  static F to_float(I x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
  static I add_int(I x, I y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
  static void store_int(std::int32_t* p, I x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x.a);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), x.b);
  }
  static void store_int8(std::int8_t* p, I x) {
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(x.a, x.b), 0xd8);
    const __m128i bytes =
        _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
  }

  static F load_bf16(const std::uint16_t* p) { return {widen(p), widen(p + 8)}; }
  static void store_bf16_input(Bf16Input* p, F x) { store(p, x); }
  static Pairs load_pairs(const std::byte* p) {
    const I bits = load_bytes(p);
    const __m256i upper = _mm256_set1_epi32(-65536);
    return {{_mm256_castsi256_ps(_mm256_slli_epi32(bits.a, 16)),
             _mm256_castsi256_ps(_mm256_slli_epi32(bits.b, 16))},
            {_mm256_castsi256_ps(_mm256_and_si256(bits.a, upper)),
             _mm256_castsi256_ps(_mm256_and_si256(bits.b, upper))}};
  }
  static F dot_pairs(F sum, Pairs w, const Bf16Input* x) {
    return fma(w.odd, set(x[1]), fma(w.even, set(x[0]), sum));
  }

  static Bytes load_bytes(const std::byte* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32))};
  }
  static I start_bytes(std::int32_t sum_of_x) { return set_int(has_vnni ? -128 * sum_of_x : 0); }
  static I dot_bytes(I sum, Bytes w, const std::int8_t* x) {
    const __m256i four = broadcast(x);
    if constexpr (has_vnni) {
      return {unsigned_dot(sum.a, w.a, four), unsigned_dot(sum.b, w.b, four)};
    } else {
      // The 16-bit sums of two products would overflow with weights up to 255: so the weights
      // become signed again, and give their sign to |x|, which takes the unsigned side.
      const __m256i flip = _mm256_set1_epi8(-128), size = _mm256_abs_epi8(four);
      const __m256i a = _mm256_sign_epi8(_mm256_xor_si256(w.a, flip), four);
      const __m256i b = _mm256_sign_epi8(_mm256_xor_si256(w.b, flip), four);
      return {unsigned_dot(sum.a, size, a), unsigned_dot(sum.b, size, b)};
    }
  }
  static Nibbles load_nibbles(const std::byte* p) {
    const I bits = load_bytes(p);
    const __m256i mask = _mm256_set1_epi8(15);
    return {{_mm256_and_si256(bits.a, mask), _mm256_and_si256(bits.b, mask)},
            {_mm256_and_si256(_mm256_srli_epi16(bits.a, 4), mask),
             _mm256_and_si256(_mm256_srli_epi16(bits.b, 4), mask)}};
  }
  static I start_nibbles(std::int32_t sum_of_x) { return set_int(-8 * sum_of_x); }
  static I dot_nibbles(I sum, Nibbles w, const std::int8_t* x) {
    const __m256i low = broadcast(x), high = broadcast(x + 4);
    return {unsigned_dot(unsigned_dot(sum.a, w.low.a, low), w.high.a, high),
            unsigned_dot(unsigned_dot(sum.b, w.low.b, low), w.high.b, high)};
  }

  static void prefetch(const std::byte* p) {
    _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
  }

 private:
  static I set_int(std::int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
  static __m256i broadcast(const void* four_bytes) {
    std::int32_t bits;
    std::memcpy(&bits, four_bytes, sizeof bits);
    return _mm256_set1_epi32(bits);
  }
  static __m128 quarter(F x) {
    const __m256 y = _mm256_add_ps(x.a, x.b);
    return _mm_add_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
  }
  static __m256 power2(__m256 n) {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
  }
  static __m256 widen(const std::uint16_t* p) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
  // Adds four products, each of an unsigned and a signed byte, to each sum.
  static __m256i unsigned_dot(__m256i sum, __m256i u, __m256i s) {
#if defined(__AVXVNNI__)
    if constexpr (has_vnni) return _mm256_dpbusd_avx_epi32(sum, u, s);
#endif
    const __m256i pairs = _mm256_maddubs_epi16(u, s);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
};

}  // namespace rwkv
