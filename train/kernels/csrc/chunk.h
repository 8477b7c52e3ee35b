// A chunk of 16 steps of one head as matrices in shared memory: what both directions begin with.
//
// With W_t the sum of log_w over the chunk's steps up to t, the "queries" are a_t e^{W_{t-1}} and
// r_t e^{W_t}, the "keys" b_s e^{-W_s} and k_s e^{-W_s}. Their products, strictly below the
// diagonal for a and on it too for r, are all that the steps of a chunk know of each other:
//     U = A_q S_0^T + AB U + AK V,   Y = R_q S_0^T + RB U + RK V,
//     S_16 = (S_0 + U^T B_k + V^T K_k) diag(e^{W_15})
// A reset cuts the chunk into parts: pairs of steps in unlike parts are zero, S_0 reaches the first
// part only, and only the last reaches S_16. |W| is at most 16 * 0.607, so nothing overflows.
#pragma once

#include "device.h"

namespace wkv7 {

constexpr int kChunk = 16;
constexpr int kThreads = 128;       // of a block: four warps
constexpr int kWide = kSize + 4;    // strides in shared memory, so that the lanes of a fragment
constexpr int kPair = 36;           // fall into unlike banks
constexpr int kInverse = 20;
template <int kRows>
constexpr int kNarrow = kRows + 8;

// kRows: the rows of the state, so the values i, that a block works on: 64 or 32.
template <int kRows>
struct Chunk {
  float queries[2 * kChunk * kWide];  // [32, 64]: a, then r
  float keys[2 * kChunk * kWide];     // [32, 64]: b, then k
  float pairs[2 * kChunk * kPair];    // [32, 32]: rows a, r; columns b, k
  float inverse[kChunk * kInverse];   // (1 - AB)^-1
  float v[kChunk * kNarrow<kRows>], u[kChunk * kNarrow<kRows>];
  float decay[kSize];                 // e^{W_15}
  int part[kChunk];                   // resets in the chunk's steps 0 .. t

  WKV7_DEVICE float query(int t, int j) const { return queries[t * kWide + j]; }
  WKV7_DEVICE float key(int s, int j) const { return keys[s * kWide + j]; }
  WKV7_DEVICE float& pair(int t, int s) { return pairs[t * kPair + s]; }
  WKV7_DEVICE bool from_start(int t) const { return part[t] == 0; }
  WKV7_DEVICE bool to_end(int t) const { return part[t] == part[kChunk - 1]; }
  WKV7_DEVICE bool through() const { return part[kChunk - 1] == 0; }
  // Whether the pair of rows t of (a, r) and columns s of (b, k) counts.
  WKV7_DEVICE bool meets(int t, int s) const {
    const int to = t % kChunk, from = s % kChunk;
    return (t < kChunk ? from < to : from <= to) && part[to] == part[from];
  }
};

// What a thread brings from memory: column j = thread % 64 of log_w and of two more, a and r for
// the first 64 threads, b and k for the others. Past the end of the row there are zeros, which
// leave the state as it is.
template <class T>
struct Columns {
  T log_w[kChunk], first[kChunk], second[kChunk];
};

template <class T, class Call>
WKV7_DEVICE void fetch(int thread, const Shape& shape, const Call& call, int b, int h, int t0,
                       Columns<T>& to) {
  const int j = thread % kSize;
  const T* first = thread < kSize ? call.a : call.b;
  const T* second = thread < kSize ? call.r : call.k;
  const std::int64_t stride = shape.stride();
  std::int64_t at = shape.at(b, t0, h) + j;
  WKV7_UNROLL
  for (int t = 0; t < kChunk; ++t, at += stride) {
    const bool there = t0 + t < shape.steps;
    to.log_w[t] = there ? call.log_w[at] : T{};
    to.first[t] = there ? first[at] : T{};
    to.second[t] = there ? second[at] : T{};
  }
}

// Queries, keys and decay from what the threads fetched, and the parts. W (optional) [16, kWide]:
// the sums of log_w.
template <bool kExact, class T, int kRows>
WKV7_DEVICE void place(int thread, const Shape& shape, const bool* resets, int b, int t0,
                       const Columns<T>& from, Chunk<kRows>& chunk, float* W) {
  const int j = thread % kSize;
  float sum = 0, scale = 1;
  WKV7_UNROLL
  for (int t = 0; t < kChunk; ++t) {
    sum += widen(from.log_w[t]);
    if (thread < kSize) {
      chunk.queries[t * kWide + j] = widen(from.first[t]) * scale;
      scale = exponential<kExact>(sum);
      chunk.queries[(kChunk + t) * kWide + j] = widen(from.second[t]) * scale;
      if (W) W[t * kWide + j] = sum;
    } else {
      const float undone = exponential<kExact>(-sum);
      chunk.keys[t * kWide + j] = widen(from.first[t]) * undone;
      chunk.keys[(kChunk + t) * kWide + j] = widen(from.second[t]) * undone;
    }
  }
  if (thread < kSize) chunk.decay[j] = scale;
  if (thread < kChunk) {
    int count = 0;
    for (int t = 0; resets && t <= thread && t0 + t < shape.steps; ++t)
      count += resets[std::int64_t(b) * shape.steps + t0 + t];
    chunk.part[thread] = count;
  }
}

// [16, kRows] of [B, T, H, 64] from row `row` on, with zeros past the end.
template <int kRows, class T>
WKV7_DEVICE void place_rows(int thread, const Shape& shape, const T* from, int b, int h, int t0,
                            int row, float* to) {
  WKV7_UNROLL
  for (int e = thread; e < kChunk * kRows; e += kThreads) {
    const int t = e / kRows, i = e % kRows;
    const bool there = from && t0 + t < shape.steps;
    to[t * kNarrow<kRows> + i] = there ? widen(from[shape.at(b, t0 + t, h) + row + i]) : 0.0f;
  }
}

// Rows of a state [64, 64] to shared memory [kRows, kWide]; null is zero.
template <int kRows>
WKV7_DEVICE void place_state(int thread, const float* from, int row, float* to) {
  for (int e = thread; e < kRows * kSize; e += kThreads)
    to[e / kSize * kWide + e % kSize] = from ? from[row * kSize + e] : 0.0f;
}

template <int kRows>
WKV7_DEVICE void write_state(int thread, const float* from, int row, float* to) {
  for (int e = thread; e < kRows * kSize; e += kThreads)
    to[row * kSize + e] = from[e / kSize * kWide + e % kSize];
}

// The pairs of a chunk: warps share the four blocks of 16 by 16, (a, r) by (b, k).
template <bool kExact, int kRows, class Block>
WKV7_DEVICE void make_pairs(const Block& block, Chunk<kRows>& chunk) {
  const int warp = block.thread() / 32, t0 = warp % 2 * kChunk, s0 = warp / 2 * kChunk;
  float c[2][4];
  clear(c);
  multiply<kSize, kExact>(
      block, c, [&](int t, int j) { return chunk.query(t0 + t, j); },
      [&](int j, int s) { return chunk.key(s0 + s, j); });
  each(block, c, [&](int t, int s, float x) {
    chunk.pair(t0 + t, s0 + s) = chunk.meets(t0 + t, s0 + s) ? x : 0.0f;
  });
}

// (1 - AB)^-1 by substitution, a column for each of 16 threads; the diagonal is one.
template <int kRows>
WKV7_DEVICE void invert(int column, Chunk<kRows>& chunk) {
  float x[kChunk];
  WKV7_UNROLL
  for (int t = 0; t < kChunk; ++t) x[t] = t == column ? 1.0f : 0.0f;
  WKV7_UNROLL
  for (int s = 0; s < kChunk; ++s) {
    chunk.inverse[s * kInverse + column] = x[s];
    WKV7_UNROLL
    for (int t = s + 1; t < kChunk; ++t) x[t] += chunk.pair(t, s) * x[s];
  }
}

// S = (S + U^T B_k + V^T K_k) diag(decay): a chunk further. Warps share the state's rows first,
// then its columns.
template <bool kExact, int kRows, class Block>
WKV7_DEVICE void move_state(const Block& block, const Chunk<kRows>& chunk, float* state) {
  constexpr int kTall = kRows / 16, kTiles = 2 * kTall;
  const int warp = block.thread() / 32, i0 = warp % kTall * 16, j0 = warp / kTall * 8 * kTiles;
  float c[kTiles][4];
  clear(c);
  for (int half = 0; half < 2; ++half) {
    const float* values = half ? chunk.v : chunk.u;
    multiply<kChunk, kExact>(
        block, c,
        [&](int i, int s) { return chunk.to_end(s) ? values[s * kNarrow<kRows> + i0 + i] : 0.0f; },
        [&](int s, int j) { return chunk.key(half * kChunk + s, j0 + j); });
  }
  each(block, c, [&](int i, int j, float x) {
    float& place = state[(i0 + i) * kWide + j0 + j];
    place = ((chunk.through() ? place : 0.0f) + x) * chunk.decay[j0 + j];
  });
}

}  // namespace wkv7
