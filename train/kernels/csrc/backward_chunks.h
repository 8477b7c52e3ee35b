// Backward in chunks of 16 steps on tensor cores, from the row's last chunk to its first.
//
// Given S_0 before the chunk and D = G_16 diag(e^{W_15}), G_16 the gradient of the state after it:
//     Z = RB^T dY + B_k D^T      G_u = (1 - AB)^-T Z      dV = RK^T dY + AK^T G_u + K_k D^T
//     dAB, dAK, dRB, dRK = the pairs that count of [G_u; dY] [U; V]^T
//     dA_q = dAB B_k + dAK K_k + G_u S_0            dR_q = dRB B_k + dRK K_k + dY S_0
//     dB_k = dAB^T A_q + dRB^T R_q + U D            dK_k = dAK^T A_q + dRK^T R_q + V D
//     D_0 = D + dY^T R_q + G_u^T A_q
// and through the scales of queries and keys
//     d_log_w_t = sum over i of D * S_0 + the sum of B_k * U D + K_k * V D before t
//               + the sum of R_q * dR_q - B_k * (dB_k - U D) - K_k * (dK_k - V D) from t on
//               + the sum of A_q * dA_q after t.
// S_0 comes from the kept state before every fourth chunk, moved on with the u that were kept.
#pragma once

#include "chunk.h"

namespace wkv7 {

template <int kRows>
struct BackwardShared {
  Chunk<kRows> chunk;
  float state[kRows * kWide], gradient[kRows * kWide];  // S_0; D
  float W[kChunk * kWide];                              // sums of log_w
  float d_y[kChunk * kNarrow<kRows>];
  float z[kChunk * kNarrow<kRows>], d_u[kChunk * kNarrow<kRows>];
  float d_pairs[2 * kChunk * kPair];
  float kept[2 * kChunk * kWide];  // B_k * U D, then K_k * V D
  float through[2 * kSize];        // sums of D * S_0, over each half of the rows
};
// What a block may have on sm_86, 89 and 120. The forward needs less.
static_assert(sizeof(BackwardShared<kSize>) <= (99 << 10), "shared memory of a block");

// Where gradients that are sums over all 64 rows go: to their place where a block has all rows,
// else to a block's own part of `partial`, [64 / kRows, 5, B, T, H, 64], which `sum_partial` adds
// up in one order.
enum Summed { kDr, kDlogW, kDk, kDa, kDb, kSummed };

template <class T>
WKV7_DEVICE T* summed_gradient(const Backward<T>& call, int which) {
  return which == kDr      ? call.d_r
         : which == kDlogW ? call.d_log_w
         : which == kDk    ? call.d_k
         : which == kDa    ? call.d_a
                           : call.d_b;
}

template <int kRows, class T>
WKV7_DEVICE void put(const Shape& shape, const Backward<T>& call, float* partial, int slice,
                     int which, std::int64_t at, float x) {
  if (kRows == kSize) {
    narrow(x, summed_gradient(call, which)[at]);
  } else {
    const std::int64_t count = std::int64_t(shape.batch) * shape.steps * shape.stride();
    partial[(std::int64_t(slice) * kSummed + which) * count + at] = x;
  }
}

template <class T>
WKV7_DEVICE void sum_partial(const Shape& shape, const Backward<T>& call, const float* partial,
                             int slices, std::int64_t at) {
  const std::int64_t count = std::int64_t(shape.batch) * shape.steps * shape.stride();
  for (int which = 0; which < kSummed; ++which) {
    float sum = 0;
    for (int slice = 0; slice < slices; ++slice)
      sum += partial[(std::int64_t(slice) * kSummed + which) * count + at];
    narrow(sum, summed_gradient(call, which)[at]);
  }
}

// The way back: to every chunk, `goal`, S_0 is brought from the kept state before it, chunk by
// chunk; `at` is the chunk that is placed next.
struct Walk {
  int goal, at;

  WKV7_DEVICE explicit Walk(int goal) : goal(goal), at(goal / kSegment * kSegment) {}
  WKV7_DEVICE bool begins() const { return at % kSegment == 0; }
  WKV7_DEVICE bool arrived() const { return at == goal; }
  WKV7_DEVICE Walk next() const {
    Walk walk = *this;
    if (arrived()) return Walk(goal - kChunk);
    walk.at += kChunk;
    return walk;
  }
};

// z, d_u and the gradient of v. Warps 0 and 2 have the keys b, so z; 1 and 3 have k, so d_v.
template <bool kExact, int kRows, class T, class Block>
WKV7_DEVICE void value_gradients(const Block& block, const Shape& shape, const Backward<T>& call,
                                 int b, int h, int t0, int row, BackwardShared<kRows>& shared) {
  constexpr int kStride = kNarrow<kRows>, kTiles = kRows / 16;
  Chunk<kRows>& chunk = shared.chunk;
  const int thread = block.thread(), warp = thread / 32;
  const int side = warp % 2, i0 = warp / 2 * (kRows / 2);

  make_pairs<kExact>(block, chunk);
  float c[kTiles][4];
  clear(c);
  multiply<kSize, kExact>(
      block, c, [&](int s, int j) { return chunk.key(side * kChunk + s, j); },
      [&](int j, int i) { return shared.gradient[(i0 + i) * kWide + j]; });
  each(block, c, [&](int s, int, float& x) { x = chunk.to_end(s) ? x : 0.0f; });
  block.sync();

  if (thread < kChunk) invert(thread, chunk);
  multiply<kChunk, kExact>(
      block, c, [&](int s, int t) { return chunk.pair(kChunk + t, side * kChunk + s); },
      [&](int t, int i) { return shared.d_y[t * kStride + i0 + i]; });
  if (side == 0)
    each(block, c, [&](int s, int i, float x) { shared.z[s * kStride + i0 + i] = x; });
  block.sync();

  float g[kRows / 32][4];
  clear(g);
  const int first = warp * (kRows / 4);
  multiply<kChunk, kExact>(
      block, g, [&](int s, int t) { return chunk.inverse[t * kInverse + s]; },
      [&](int t, int i) { return shared.z[t * kStride + first + i]; });
  each(block, g, [&](int s, int i, float x) { shared.d_u[s * kStride + first + i] = x; });
  block.sync();

  if (side == 1) {
    multiply<kChunk, kExact>(
        block, c, [&](int s, int t) { return chunk.pair(t, kChunk + s); },
        [&](int t, int i) { return shared.d_u[t * kStride + i0 + i]; });
    each(block, c, [&](int s, int i, float x) {
      if (t0 + s < shape.steps) narrow(x, call.d_v[shape.at(b, t0 + s, h) + row + i0 + i]);
    });
  }
}

// The gradients of the pairs: [d_u; d_y] by [u; v], as `make_pairs` shares them.
template <bool kExact, int kRows, class Block>
WKV7_DEVICE void pair_gradients(const Block& block, BackwardShared<kRows>& shared) {
  const int warp = block.thread() / 32, t0 = warp % 2 * kChunk, s0 = warp / 2 * kChunk;
  const float* rows = t0 ? shared.d_y : shared.d_u;
  const float* columns = s0 ? shared.chunk.v : shared.chunk.u;
  float c[2][4];
  clear(c);
  multiply<kRows, kExact>(
      block, c, [&](int t, int i) { return rows[t * kNarrow<kRows> + i]; },
      [&](int i, int s) { return columns[s * kNarrow<kRows> + i]; });
  each(block, c, [&](int t, int s, float x) {
    shared.d_pairs[(t0 + t) * kPair + s0 + s] = shared.chunk.meets(t0 + t, s0 + s) ? x : 0.0f;
  });
}

// The gradients of queries and keys, each warp's own 16 rows [16, 64] of (a, r, b, k); what passes
// through the state, apart from the pairs, is masked as S_0 and S_16 are.
template <bool kExact, int kRows, class Block>
WKV7_DEVICE void row_gradients(const Block& block, BackwardShared<kRows>& shared,
                               float (&c)[8][4]) {
  Chunk<kRows>& chunk = shared.chunk;
  const int warp = block.thread() / 32;
  const bool is_query = warp < 2;
  const float* values = warp == 0   ? shared.d_u
                        : warp == 1 ? shared.d_y
                        : warp == 2 ? chunk.u
                                    : chunk.v;
  const float* state = is_query ? shared.state : shared.gradient;
  clear(c);
  multiply<kRows, kExact>(
      block, c, [&](int t, int i) { return values[t * kNarrow<kRows> + i]; },
      [&](int i, int j) { return state[i * kWide + j]; });
  each(block, c, [&](int t, int j, float& x) {
    x = (is_query ? chunk.from_start(t) : chunk.to_end(t)) ? x : 0.0f;
    if (!is_query) {
      const int s = (warp - 2) * kChunk + t;
      shared.kept[s * kWide + j] = chunk.key(s, j) * x;
    }
  });
  const int own = warp % 2 * kChunk;
  if (is_query)
    multiply<2 * kChunk, kExact>(
        block, c, [&](int t, int s) { return shared.d_pairs[(own + t) * kPair + s]; },
        [&](int s, int j) { return chunk.key(s, j); });
  else
    multiply<2 * kChunk, kExact>(
        block, c, [&](int s, int t) { return shared.d_pairs[t * kPair + own + s]; },
        [&](int t, int j) { return chunk.query(t, j); });
}

// The gradients of a, r, b and k themselves, and in place of queries and keys their products with
// their gradients, for d_log_w.
template <bool kExact, int kRows, class T, class Block>
WKV7_DEVICE void unscale(const Block& block, const Shape& shape, const Backward<T>& call,
                         float* partial, int b, int h, int slice, int t0,
                         BackwardShared<kRows>& shared, float (&c)[8][4]) {
  const int warp = block.thread() / 32;
  const int which = warp == 0 ? kDa : warp == 1 ? kDr : warp == 2 ? kDb : kDk;
  float* rows = (warp < 2 ? shared.chunk.queries : shared.chunk.keys) + warp % 2 * kChunk * kWide;
  each(block, c, [&](int t, int j, float x) {
    const float W = warp == 0 ? (t > 0 ? shared.W[(t - 1) * kWide + j] : 0.0f)
                              : shared.W[t * kWide + j];
    rows[t * kWide + j] *= x;
    if (t0 + t < shape.steps)
      put<kRows>(shape, call, partial, slice, which, shape.at(b, t0 + t, h) + j,
                 x * exponential<kExact>(warp < 2 ? W : -W));
  });
}

// d_log_w of column j, from the products that the others left.
template <int kRows, class T>
WKV7_DEVICE void decay_gradient(int j, const Shape& shape, const Backward<T>& call, float* partial,
                                int b, int h, int slice, int t0, BackwardShared<kRows>& shared) {
  const auto product = [&](const float* rows, int half, int t) {
    return rows[(half * kChunk + t) * kWide + j];
  };
  const Chunk<kRows>& chunk = shared.chunk;
  float later[kChunk], sum = 0;
  WKV7_UNROLL
  for (int t = kChunk - 1; t >= 0; --t) {
    const float key = product(chunk.keys, 0, t) + product(chunk.keys, 1, t);
    const float kept = product(shared.kept, 0, t) + product(shared.kept, 1, t);
    sum += product(chunk.queries, 1, t) - (key - kept);
    later[t] = sum;
    sum += product(chunk.queries, 0, t);
  }
  float earlier = shared.through[j] + shared.through[kSize + j];
  WKV7_UNROLL
  for (int t = 0; t < kChunk; ++t) {
    if (t0 + t < shape.steps)
      put<kRows>(shape, call, partial, slice, kDlogW, shape.at(b, t0 + t, h) + j,
                 later[t] + earlier);
    earlier += product(shared.kept, 0, t) + product(shared.kept, 1, t);
  }
}

template <int kRows, class T, class Block>
WKV7_DEVICE void backward_chunks(const Block& block, const Shape& shape, const Backward<T>& call,
                                 float* partial, int b, int h, int slice,
                                 BackwardShared<kRows>& shared) {
  constexpr bool kExact = sizeof(T) == sizeof(float);
  constexpr int kTall = kRows / 16, kTiles = 2 * kTall;  // of the state, for a warp
  Chunk<kRows>& chunk = shared.chunk;
  const int thread = block.thread(), warp = thread / 32, row = slice * kRows;
  const int i0 = warp % kTall * 16, j0 = warp / kTall * 8 * kTiles;

  place_state<kRows>(thread,
                     call.d_final_state ? call.d_final_state + shape.state(b, h) : nullptr, row,
                     shared.gradient);
  Walk walk((shape.steps - 1) / kChunk * kChunk);
  Columns<T> columns;
  fetch(thread, shape, call, b, h, walk.at, columns);
  for (; walk.goal >= 0; walk = walk.next()) {
    const int t0 = walk.at;
    if (walk.begins())
      place_state<kRows>(thread, call.states + shape.kept(b, h, t0 / kSegment), row, shared.state);
    place<kExact>(thread, shape, call.resets, b, t0, columns, chunk, shared.W);
    place_rows<kRows>(thread, shape, call.v, b, h, t0, row, chunk.v);
    place_rows<kRows>(thread, shape, call.u, b, h, t0, row, chunk.u);
    if (walk.arrived()) place_rows<kRows>(thread, shape, call.d_y, b, h, t0, row, shared.d_y);
    block.sync();
    const Walk next = walk.next();  // its columns arrive while this chunk is worked on
    if (next.goal >= 0) fetch(thread, shape, call, b, h, next.at, columns);
    if (!walk.arrived()) {
      move_state<kExact>(block, chunk, shared.state);
      block.sync();
      continue;
    }

    for (int e = thread; e < kRows * kSize; e += kThreads)
      shared.gradient[e / kSize * kWide + e % kSize] *= chunk.decay[e % kSize];
    block.sync();

    value_gradients<kExact>(block, shape, call, b, h, t0, row, shared);
    pair_gradients<kExact>(block, shared);
    block.sync();

    float rows[8][4], before[kTiles][4];
    row_gradients<kExact>(block, shared, rows);
    clear(before);  // dY^T R_q + G_u^T A_q
    for (int half = 0; half < 2; ++half) {
      const float* values = half ? shared.d_y : shared.d_u;
      multiply<kChunk, kExact>(
          block, before,
          [&](int i, int t) {
            return chunk.from_start(t) ? values[t * kNarrow<kRows> + i0 + i] : 0.0f;
          },
          [&](int t, int j) { return chunk.query(half * kChunk + t, j0 + j); });
    }
    const int j = thread % kSize, first = thread / kSize * (kRows / 2);
    float through = 0;
    for (int i = first; i < first + kRows / 2; ++i)
      through += shared.gradient[i * kWide + j] * shared.state[i * kWide + j];
    shared.through[thread] = chunk.through() ? through : 0.0f;
    block.sync();

    unscale<kExact>(block, shape, call, partial, b, h, slice, t0, shared, rows);
    each(block, before, [&](int i, int column, float x) {
      float& place = shared.gradient[(i0 + i) * kWide + j0 + column];
      place = (chunk.through() ? place : 0.0f) + x;
    });
    block.sync();

    if (thread < kSize)
      decay_gradient(thread, shape, call, partial, b, h, slice, t0, shared);
    block.sync();
  }
  write_state<kRows>(thread, shared.gradient, row, call.d_initial_state + shape.state(b, h));
}

}  // namespace wkv7
