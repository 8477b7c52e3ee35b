// Forward in chunks of 16 steps on tensor cores. A block has kRows of a head's 64 rows of the
// state, which never meet the others, and goes through the row of the batch from chunk to chunk.
#pragma once

#include "chunk.h"

namespace wkv7 {

template <int kRows>
struct ForwardShared {
  Chunk<kRows> chunk;
  float state[kRows * kWide];
  float known[kChunk * kNarrow<kRows>];  // A_q S_0^T + AK V
};

template <int kRows, class T, class Block>
WKV7_DEVICE void forward_chunks(const Block& block, const Shape& shape, const Forward<T>& call,
                                int b, int h, int slice, ForwardShared<kRows>& shared) {
  constexpr bool kExact = sizeof(T) == sizeof(float);
  constexpr int kStride = kNarrow<kRows>, kTiles = kRows / 16;
  Chunk<kRows>& chunk = shared.chunk;
  const int thread = block.thread(), warp = thread / 32, row = slice * kRows;
  // Warps 0 and 2 have the queries a, so U; 1 and 3 have r, so Y; each half of the rows i.
  const int side = warp % 2, i0 = warp / 2 * (kRows / 2);

  Columns<T> columns;
  fetch(thread, shape, call, b, h, 0, columns);
  place_state<kRows>(thread, call.initial_state ? call.initial_state + shape.state(b, h) : nullptr,
                     row, shared.state);
  for (int t0 = 0; t0 < shape.steps; t0 += kChunk) {
    place<kExact>(thread, shape, call.resets, b, t0, columns, chunk, nullptr);
    place_rows<kRows>(thread, shape, call.v, b, h, t0, row, chunk.v);
    block.sync();
    if (call.states && t0 % kSegment == 0)
      write_state<kRows>(thread, shared.state, row,
                         call.states + shape.kept(b, h, t0 / kSegment));
    fetch(thread, shape, call, b, h, t0 + kChunk, columns);  // arrives while this chunk is made

    make_pairs<kExact>(block, chunk);
    float c[kTiles][4];
    clear(c);
    multiply<kSize, kExact>(
        block, c, [&](int t, int j) { return chunk.query(side * kChunk + t, j); },
        [&](int j, int i) { return shared.state[(i0 + i) * kWide + j]; });
    each(block, c, [&](int t, int, float& x) { x = chunk.from_start(t) ? x : 0.0f; });
    block.sync();

    if (thread < kChunk) invert(thread, chunk);
    multiply<kChunk, kExact>(
        block, c, [&](int t, int s) { return chunk.pair(side * kChunk + t, kChunk + s); },
        [&](int s, int i) { return chunk.v[s * kStride + i0 + i]; });
    if (side == 0)
      each(block, c, [&](int t, int i, float x) { shared.known[t * kStride + i0 + i] = x; });
    block.sync();

    float u[kRows / 32][4];
    clear(u);
    const int first = warp * (kRows / 4);
    multiply<kChunk, kExact>(
        block, u, [&](int t, int s) { return chunk.inverse[t * kInverse + s]; },
        [&](int s, int i) { return shared.known[s * kStride + first + i]; });
    each(block, u, [&](int t, int i, float x) {
      chunk.u[t * kStride + first + i] = x;
      if (call.u && t0 + t < shape.steps) call.u[shape.at(b, t0 + t, h) + row + first + i] = x;
    });
    block.sync();

    if (side == 1) {
      multiply<kChunk, kExact>(
          block, c, [&](int t, int s) { return chunk.pair(kChunk + t, s); },
          [&](int s, int i) { return chunk.u[s * kStride + i0 + i]; });
      each(block, c, [&](int t, int i, float x) {
        if (t0 + t < shape.steps) narrow(x, call.y[shape.at(b, t0 + t, h) + row + i0 + i]);
      });
    }
    move_state<kExact>(block, chunk, shared.state);
    block.sync();
  }
  write_state<kRows>(thread, shared.state, row, call.final_state + shape.state(b, h));
}

}  // namespace wkv7
