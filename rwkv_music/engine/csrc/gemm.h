// Products of packed matrices with one row of activations or many.
//
// A tile is P panels by T rows, whose sums stay in registers. Every (output, row) has one chain of
// additions, along the inputs in order, whatever P and T are: so one row gives bitwise the same
// numbers as that row among others. (Integer sums are exact in any order; between groups they are
// added in order, too.)
#pragma once

#include "input.h"
#include "packed.h"

// GCC keeps the sums of a large tile in memory unless its loops are unrolled.
#if defined(__GNUC__) && !defined(__clang__)
#define RWKV_UNROLL _Pragma("GCC unroll 8")
#else
#define RWKV_UNROLL
#endif

namespace rwkv {

// How a format is read and multiplied. `Sum` is what accumulates over a unit.
template <class S>
struct Float32 {
  using Element = float;
  using Weights = typename S::F;
  using Sum = typename S::F;
  static constexpr Format kFormat = Format::float32;
  static Weights load(const std::byte* p) { return S::load(reinterpret_cast<const float*>(p)); }
  static Sum dot(Sum sum, const Weights& w, const Element* x) { return S::fma(w, S::set(*x), sum); }
};

template <class S>
struct Bfloat16 {
  using Element = typename S::Bf16Input;
  using Weights = typename S::Pairs;
  using Sum = typename S::F;
  static constexpr Format kFormat = Format::bfloat16;
  static Weights load(const std::byte* p) { return S::load_pairs(p); }
  static Sum dot(Sum sum, const Weights& w, const Element* x) { return S::dot_pairs(sum, w, x); }
};

template <class S>
struct Int8 {
  using Element = std::int8_t;
  using Weights = typename S::Bytes;
  using Sum = typename S::I;
  static constexpr Format kFormat = Format::int8;
  static Sum start(std::int32_t sum_of_x) { return S::start_bytes(sum_of_x); }
  static Weights load(const std::byte* p) { return S::load_bytes(p); }
  static Sum dot(Sum sum, const Weights& w, const Element* x) { return S::dot_bytes(sum, w, x); }
};

template <class S>
struct Int4 {
  using Element = std::int8_t;
  using Weights = typename S::Nibbles;
  using Sum = typename S::I;
  static constexpr Format kFormat = Format::int4;
  static Sum start(std::int32_t sum_of_x) { return S::start_nibbles(sum_of_x); }
  static Weights load(const std::byte* p) { return S::load_nibbles(p); }
  static Sum dot(Sum sum, const Weights& w, const Element* x) { return S::dot_nibbles(sum, w, x); }
};

constexpr bool is_integer(Format format) { return format == Format::int8 || format == Format::int4; }

// Where a tile works: panels [panel, panel + P) of a strip, rows [row, row + T).
struct Place {
  const Matrix* matrix;
  int strip, panel, row;

  int width() const { return matrix->strip_panels(strip); }
  const std::byte* data() const { return matrix->strip(strip) + panel * kUnitBytes; }
  int output(int p) const { return (strip * kStripPanels + panel + p) * kLanes; }
};

// Few rows of a model that comes from memory wait for their weights: these are asked for so far
// ahead. (From memory a sixth faster; from the cache it would take up to half as long again.)
constexpr int kPrefetchBytes = 4096, kPrefetchRows = 4;

// Adds `units` units to P x T sums; returns where the next unit lies. `step` lies between units.
template <class S, class Kind, int P, int T, bool prefetches>
inline const std::byte* add_units(const std::byte* w, int step, int units, int first_input,
                                  const typename Kind::Element* const (&x)[T],
                                  typename Kind::Sum (&sum)[P][T]) {
  constexpr int kInputs = inputs_per_unit(Kind::kFormat);
  RWKV_UNROLL
  for (int u = 0; u < units; ++u, w += step) {
    typename Kind::Weights weights[P];
    for (int p = 0; p < P; ++p) weights[p] = Kind::load(w + p * kUnitBytes);
    if constexpr (prefetches)
      for (int p = 0; p < P; ++p) S::prefetch(w + p * kUnitBytes + kPrefetchBytes);
    RWKV_UNROLL
    for (int t = 0; t < T; ++t)
      for (int p = 0; p < P; ++p)
        sum[p][t] = Kind::dot(sum[p][t], weights[p], x[t] + first_input + u * kInputs);
  }
  return w;
}

template <class S, class Kind, int P, int T, bool prefetches>
void tile(const Place& place, const Input& input, float* y, int stride) {
  using F = typename S::F;
  constexpr int kInputs = inputs_per_unit(Kind::kFormat);
  const Matrix& m = *place.matrix;
  // All but a matrix's last strip are whole: a constant here is worth a third of the time.
  const int width = P > 1 ? kStripPanels : place.width(), step = width * kUnitBytes;
  const std::byte* w = place.data();
  const typename Kind::Element* x[T];
  for (int t = 0; t < T; ++t) x[t] = input.row<typename Kind::Element>(place.row + t);
  F total[P][T];
  for (int p = 0; p < P; ++p)
    for (int t = 0; t < T; ++t) total[p][t] = S::zero();

  if constexpr (!is_integer(Kind::kFormat)) {
    add_units<S, Kind, P, T, prefetches>(w, step, m.inputs / kInputs, 0, x, total);
  } else {
    const int groups = m.groups();
    for (int g = 0; g < groups; ++g) {
      typename S::I sum[P][T];
      F scale[T];
      for (int t = 0; t < T; ++t) {
        const int at = (place.row + t) * groups + g;
        scale[t] = S::set(input.scales[at]);
        for (int p = 0; p < P; ++p) sum[p][t] = Kind::start(input.sums[at]);
      }
      w = add_units<S, Kind, P, T, prefetches>(w, step, kGroup / kInputs, g * kGroup, x, sum);
      for (int p = 0; p < P; ++p) {
        F weight_scale = S::zero();
        if constexpr (Kind::kFormat == Format::int4)
          weight_scale = S::load_bf16(m.strip_scales(place.strip) +
                                      (g * width + place.panel + p) * kLanes);
        for (int t = 0; t < T; ++t) {
          F part = S::to_float(sum[p][t]);
          if constexpr (Kind::kFormat == Format::int4) part = S::mul(part, weight_scale);
          total[p][t] = S::fma(part, scale[t], total[p][t]);
        }
      }
    }
  }
  for (int p = 0; p < P; ++p)
    for (int t = 0; t < T; ++t) {
      if constexpr (Kind::kFormat == Format::int8)
        total[p][t] = S::mul(total[p][t], S::load(m.output_scales() + place.output(p)));
      S::store(y + static_cast<std::size_t>(place.row + t) * stride + place.output(p), total[p][t]);
    }
}

// The most rows of a tile.
template <class S, bool integer>
constexpr int rows_for() {
  return integer && S::kRegisters >= 32 ? 4 : 6;
}

// The widest tile whose sums fit the registers: T rows of P panels. Whole strips are read in order,
// which memory likes best. Integer sums begin anew with every group: where they fill the registers,
// what they add up to waits in the cache.
template <class S, bool integer>
constexpr int panels_for(int rows) {
  if (integer && S::kRegisters >= 32) return 4;
  const int sums = rows * (integer ? 2 : 1), free = S::kRegisters - (rows > 1 ? 6 : 0);
  return sums * 4 <= free ? 4 : sums * 2 <= S::kRegisters ? 2 : 1;
}

template <class S, class Kind, int T, bool ahead>
void strip_rows(Place place, const Input& input, int rows, float* y, int stride) {
  constexpr int P = panels_for<S, is_integer(Kind::kFormat)>(T);
  constexpr bool prefetches = ahead && T <= kPrefetchRows;
  for (; rows - place.row >= T; place.row += T) {
    place.panel = 0;
    if (place.width() == kStripPanels)
      for (; place.panel < kStripPanels; place.panel += P)
        tile<S, Kind, P, T, prefetches>(place, input, y, stride);
    for (; place.panel < place.width(); ++place.panel)
      tile<S, Kind, 1, T, prefetches>(place, input, y, stride);
  }
  constexpr int kFewer = T > 4 ? 4 : T - 1;
  if constexpr (kFewer > 0) {
    if (place.row < rows) strip_rows<S, Kind, kFewer, ahead>(place, input, rows, y, stride);
  }
}

// y[row][outputs of a strip] = input x matrix^T, with the weights asked for ahead or not.
template <class S, bool ahead>
void multiply_strip(const Matrix& m, int strip, const Input& input, int rows, float* y, int stride) {
  const Place place{&m, strip, 0, 0};
  constexpr int kFloatRows = rows_for<S, false>(), kIntegerRows = rows_for<S, true>();
  switch (m.format) {
    case Format::float32:
      return strip_rows<S, Float32<S>, kFloatRows, ahead>(place, input, rows, y, stride);
    case Format::bfloat16:
      return strip_rows<S, Bfloat16<S>, kFloatRows, ahead>(place, input, rows, y, stride);
    case Format::int8:
      return strip_rows<S, Int8<S>, kIntegerRows, ahead>(place, input, rows, y, stride);
    case Format::int4:
      return strip_rows<S, Int4<S>, kIntegerRows, ahead>(place, input, rows, y, stride);
  }
}

}  // namespace rwkv
