// AVX-512 (F, BW, DQ, VL, VNNI): sixteen lanes are one register. See simd_scalar.h for what each
// function means.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace rwkv {

template <bool has_bf16_dot>
struct Avx512 {
  using F = __m512;
  using I = __m512i;
  using Bytes = __m512i;
  struct Nibbles {
    __m512i low, high;
  };
  struct Halves {
    F even, odd;
  };
  using Pairs = std::conditional_t<has_bf16_dot, __m512i, Halves>;
  using Bf16Input = std::conditional_t<has_bf16_dot, std::uint16_t, float>;
  static constexpr int kRegisters = 32;  // of sixteen lanes
  static constexpr bool kPrefetches = true;

  static F zero() { return _mm512_setzero_ps(); }
  static F set(float x) { return _mm512_set1_ps(x); }
  static F load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, F x) { _mm512_storeu_ps(p, x); }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F div(F a, F b) { return _mm512_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F max(F a, F b) { return _mm512_max_ps(a, b); }
  static F min(F a, F b) { return _mm512_min_ps(a, b); }
  static F abs(F a) { return _mm512_abs_ps(a); }
  static F round(F a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static F scale2(F a, F n) { return _mm512_scalef_ps(a, n); }
  static float sum(F a) { return _mm512_reduce_add_ps(a); }
  static float maximum(F a) { return _mm512_reduce_max_ps(a); }

  static F sums(const F (&v)[16]) {
    return folded(v, [](F a, F b) { return add(a, b); });
  }
  static F maxima(const F (&v)[16]) {
    return folded(v, [](F a, F b) { return max(a, b); });
  }

  static I to_int(F a) { return _mm512_cvtps_epi32(a); }
  static F to_float(I a) { return _mm512_cvtepi32_ps(a); }
  static I add_int(I a, I b) { return _mm512_add_epi32(a, b); }
  static void store_int(std::int32_t* p, I a) { _mm512_storeu_si512(p, a); }
  static void store_int8(std::int8_t* p, I a) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(a));
  }

  static F load_bf16(const std::uint16_t* p) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  static void store_bf16_input(Bf16Input* p, F a) {
    if constexpr (has_bf16_dot)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), (__m256i)_mm512_cvtneps_pbh(a));
    else
      store(p, a);
  }
  static Pairs load_pairs(const std::byte* p) {
    const __m512i bits = _mm512_loadu_si512(p);
    if constexpr (has_bf16_dot)
      return bits;
    else
      return {_mm512_castsi512_ps(_mm512_slli_epi32(bits, 16)),
              _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(-65536)))};
  }
  static F dot_pairs(F sum, Pairs w, const Bf16Input* x) {
    if constexpr (has_bf16_dot)
      return _mm512_dpbf16_ps(sum, (__m512bh)w, (__m512bh)broadcast(x));
    else
      return fma(w.odd, set(x[1]), fma(w.even, set(x[0]), sum));
  }

  static Bytes load_bytes(const std::byte* p) { return _mm512_loadu_si512(p); }
  static I start_bytes(std::int32_t sum_of_x) { return _mm512_set1_epi32(-128 * sum_of_x); }
  static I dot_bytes(I sum, Bytes w, const std::int8_t* x) {
    return _mm512_dpbusd_epi32(sum, w, broadcast(x));
  }
  static Nibbles load_nibbles(const std::byte* p) {
    const __m512i bits = _mm512_loadu_si512(p), mask = _mm512_set1_epi8(15);
    return {_mm512_and_si512(bits, mask), _mm512_and_si512(_mm512_srli_epi16(bits, 4), mask)};
  }
  static I start_nibbles(std::int32_t sum_of_x) { return _mm512_set1_epi32(-8 * sum_of_x); }
  static I dot_nibbles(I sum, Nibbles w, const std::int8_t* x) {
    sum = _mm512_dpbusd_epi32(sum, w.low, broadcast(x));
    return _mm512_dpbusd_epi32(sum, w.high, broadcast(x + 4));
  }

  static void prefetch(const std::byte* p) {
    _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
  }

 private:
  static __m512i broadcast(const void* four_bytes) {
    std::int32_t bits;
    std::memcpy(&bits, four_bytes, sizeof bits);
    return _mm512_set1_epi32(bits);
  }
  // The sixteen lanes of each vector put together by f, in the same order for each.
  template <class Function>
  static F folded(const F (&v)[16], Function f) {
    F a[8], b[4];
    for (int i = 0; i < 8; ++i)
      a[i] = f(_mm512_unpacklo_ps(v[2 * i], v[2 * i + 1]),
               _mm512_unpackhi_ps(v[2 * i], v[2 * i + 1]));
    for (int i = 0; i < 4; ++i) {
      const __m512d x = _mm512_castps_pd(a[2 * i]), y = _mm512_castps_pd(a[2 * i + 1]);
      b[i] = f(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)),
               _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
    }
    const auto halves = [&](F x, F y) {  // folds neighbouring quarters: two of x, then of y
      return f(_mm512_shuffle_f32x4(x, y, 0x88), _mm512_shuffle_f32x4(x, y, 0xdd));
    };
    return halves(halves(b[0], b[1]), halves(b[2], b[3]));
  }
};

}  // namespace rwkv
