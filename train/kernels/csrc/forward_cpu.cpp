// Forward: a column of the state at a time, with lanes over its values i, so that no sum crosses
// lanes. One pass over the state moves it by a step, reads y_t = S_t r_t off it, and already forms
// u_{t+1} = S_t a_{t+1} for the next.
#include <algorithm>
#include <cstring>

#include "cpu.h"
#include "lanes.h"
#include "staging.h"

namespace wkv7 {
namespace {

constexpr int kSteps = 16;  // staged at a time; a segment is a whole number of these
constexpr int kVectors = kLanes == 8 ? 2 : 4;  // of rows moved together: what the registers hold
constexpr int kRows = kVectors * kLanes;
static_assert(kSize % kRows == 0 && kSegment % kSteps == 0, "tiles fill a head, stages a segment");

// Float32 [steps, 64]; `a` has a row of zeros after the last step.
struct Stage {
  float *r, *w, *k, *v, *a, *b, *y, *u;
};

// A tile holds kRows rows of the state, column by column: [64 (j), kRows (i)].
void product(const float* tile, const float* a, Lanes (&sum)[kVectors]) {
  for (int i = 0; i < kVectors; ++i) sum[i] = Lanes{};
  for (int j = 0; j < kSize; ++j)
    for (int i = 0; i < kVectors; ++i) sum[i] += load(tile + j * kRows + i * kLanes) * a[j];
}

void move_tile(float* tile, int row, const Stage& in, const bool* resets, int steps) {
  Lanes u[kVectors];
  product(tile, in.a, u);
  for (int s = 0; s < steps; ++s) {
    if (resets && resets[s]) {
      std::memset(tile, 0, sizeof(float) * kSize * kRows);
      for (int i = 0; i < kVectors; ++i) u[i] = Lanes{};
    }
    const float *w = in.w + s * kSize, *k = in.k + s * kSize, *b = in.b + s * kSize,
                *r = in.r + s * kSize, *next_a = in.a + (s + 1) * kSize;
    Lanes v[kVectors], y[kVectors], next_u[kVectors];
    for (int i = 0; i < kVectors; ++i) {
      v[i] = load(in.v + s * kSize + row + i * kLanes);
      y[i] = next_u[i] = Lanes{};
    }
    for (int j = 0; j < kSize; ++j) {
      // Read before anything is stored: a compiler cannot know that the tile is elsewhere.
      const float w_j = w[j], k_j = k[j], b_j = b[j], r_j = r[j], a_j = next_a[j];
#pragma GCC unroll 4
      for (int i = 0; i < kVectors; ++i) {
        float* place = tile + j * kRows + i * kLanes;
        const Lanes moved = load(place) * w_j + u[i] * b_j + v[i] * k_j;
        store(place, moved);
        y[i] += moved * r_j;
        next_u[i] += moved * a_j;
      }
    }
    for (int i = 0; i < kVectors; ++i) {
      store(in.y + s * kSize + row + i * kLanes, y[i]);
      store(in.u + s * kSize + row + i * kLanes, u[i]);
      u[i] = next_u[i];
    }
  }
}

// The tiles of a head, [64 / kRows, 64 (j), kRows (i)], from [64 (i), 64 (j)] and back.
void to_tiles(const float* state, float* tiles) {
  for (int i = 0; i < kSize; ++i)
    for (int j = 0; j < kSize; ++j)
      tiles[(i / kRows * kSize + j) * kRows + i % kRows] = state[i * kSize + j];
}

void from_tiles(const float* tiles, float* state) {
  for (int i = 0; i < kSize; ++i)
    for (int j = 0; j < kSize; ++j)
      state[i * kSize + j] = tiles[(i / kRows * kSize + j) * kRows + i % kRows];
}

}  // namespace

template <class T>
void forward_heads(const Shape& shape, const Forward<T>& call, int first, int last) {
  constexpr int kStaged = kSteps * kSize;
  Scratch scratch(kState + 8 * kStaged + kSize);
  float* tiles = scratch.take(kState);
  Stage stage{};
  for (float** part : {&stage.r, &stage.w, &stage.k, &stage.v, &stage.b, &stage.y, &stage.u})
    *part = scratch.take(kStaged);
  stage.a = scratch.take(kStaged + kSize);
  const std::int64_t stride = shape.stride();

  for (int head = first; head < last; ++head) {
    const int b = head / shape.heads, h = head % shape.heads;
    if (call.initial_state)
      to_tiles(call.initial_state + shape.state(b, h), tiles);
    else
      std::memset(tiles, 0, sizeof(float) * kState);
    for (int t = 0; t < shape.steps; t += kSteps) {
      if (call.states && t % kSegment == 0)
        from_tiles(tiles, call.states + shape.kept(b, h, t / kSegment));
      const int steps = std::min(kSteps, shape.steps - t);
      const std::int64_t at = shape.at(b, t, h);
      gather(call.r + at, stride, steps, stage.r);
      gather_decay(call.log_w + at, stride, steps, stage.w);
      gather(call.k + at, stride, steps, stage.k);
      gather(call.v + at, stride, steps, stage.v);
      gather(call.a + at, stride, steps, stage.a);
      gather(call.b + at, stride, steps, stage.b);
      std::memset(stage.a + steps * kSize, 0, sizeof(float) * kSize);
      const bool* resets =
          call.resets ? call.resets + std::int64_t(b) * shape.steps + t : nullptr;
      for (int row = 0; row < kSize; row += kRows)
        move_tile(tiles + row * kSize, row, stage, resets, steps);
      scatter(stage.y, stride, steps, call.y + at);
      if (call.u) scatter(stage.u, stride, steps, call.u + at);
    }
    from_tiles(tiles, call.final_state + shape.state(b, h));
  }
}

template void forward_heads(const Shape&, const Forward<float>&, int, int);
template void forward_heads(const Shape&, const Forward<bf16>&, int, int);

}  // namespace wkv7
