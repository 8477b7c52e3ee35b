// Backward: segment by segment from the last. A tile of rows is first moved forward again from the
// kept state (u is kept too, so nothing is summed) with the state after every step written down,
// then its gradient is taken back step by step. Lanes run over the keys j, along which five of the
// seven gradients lie; the two sums over j, d_u and d_v, are formed for all rows of a tile at once.
//
// With G the gradient of S_t, from later steps and from y_t:   G += d_y r^T
//   d_r = S_t^T d_y   d_v = G k   d_k = G^T v   d_u = G b   d_b = G^T u   d_a = S_{t-1}^T d_u
//   d_log_w = w * column sums of (G * S_{t-1})   and for S_{t-1}:   G = G diag(w) + d_u a^T
#include <algorithm>
#include <cstring>

#include "cpu.h"
#include "lanes.h"
#include "staging.h"

namespace wkv7 {
namespace {

constexpr int kRows = kLanes;  // of a tile, so that `sums` gives one number for each
constexpr int kParts = kSize / kLanes;
constexpr int kBlock = kLanes == 16 ? 4 : 2;  // vectors of columns summed together
constexpr int kTile = kRows * kSize;
constexpr int kStaged = kSegment * kSize;

// Float32 [steps, 64] of one head.
struct Stage {
  float *r, *w, *k, *v, *a, *b, *u, *d_y;
  float *d_r, *d_w, *d_k, *d_v, *d_a, *d_b;
};

// kBlock vectors, one after the other, as registers.
struct Columns {
  Lanes x[kBlock];

  explicit Columns(const float* from) {
    for (int c = 0; c < kBlock; ++c) x[c] = load(from + c * kLanes);
  }
  void store_to(float* to) const {
    for (int c = 0; c < kBlock; ++c) store(to + c * kLanes, x[c]);
  }
};

// A tile one step forward, and d_r, which needs the state after the step.
void move_rows(const float* before, float* after, const Stage& in, int s, int row) {
  const float *u = in.u + s * kSize + row, *v = in.v + s * kSize + row,
              *d_y = in.d_y + s * kSize + row;
  for (int q = 0; q < kSize; q += kBlock * kLanes) {
    const int at = s * kSize + q;
    const Columns w(in.w + at), k(in.k + at), b(in.b + at);
    Columns d_r(in.d_r + at);
    for (int i = 0; i < kRows; ++i) {
      const float u_i = u[i], v_i = v[i], d_y_i = d_y[i];
#pragma GCC unroll 4
      for (int c = 0; c < kBlock; ++c) {
        const int place = i * kSize + q + c * kLanes;
        const Lanes moved = load(before + place) * w.x[c] + b.x[c] * u_i + k.x[c] * v_i;
        store(after + place, moved);
        d_r.x[c] += moved * d_y_i;
      }
    }
    d_r.store_to(in.d_r + at);
  }
}

// Sums over j of G b and G k lie in memory lane by lane, [kRows, kLanes], until a tile is through.
struct Sums {
  alignas(64) float d_u[kRows * kLanes], d_v[kRows * kLanes];
};

// Columns q .. q + kBlock * kLanes - 1 of the part that d_u is not needed for.
void read_columns(float* gradient, const float* before, const Stage& in, int s, int row, int q,
                  Sums& sums) {
  const int at = s * kSize + q;
  const float *d_y = in.d_y + s * kSize + row, *u = in.u + s * kSize + row,
              *v = in.v + s * kSize + row;
  const Columns r(in.r + at), k(in.k + at), b(in.b + at);
  Columns d_w(in.d_w + at), d_k(in.d_k + at), d_b(in.d_b + at);
  for (int i = 0; i < kRows; ++i) {
    const float d_y_i = d_y[i], u_i = u[i], v_i = v[i];
    Lanes d_u{}, d_v{};
    if (q > 0) {
      d_u = load(sums.d_u + i * kLanes);
      d_v = load(sums.d_v + i * kLanes);
    }
#pragma GCC unroll 4
    for (int c = 0; c < kBlock; ++c) {
      const int place = i * kSize + q + c * kLanes;
      const Lanes g = load(gradient + place) + r.x[c] * d_y_i;
      store(gradient + place, g);
      d_w.x[c] += load(before + place) * g;
      d_b.x[c] += g * u_i;
      d_k.x[c] += g * v_i;
      d_u += g * b.x[c];
      d_v += g * k.x[c];
    }
    store(sums.d_u + i * kLanes, d_u);
    store(sums.d_v + i * kLanes, d_v);
  }
  d_w.store_to(in.d_w + at);
  d_k.store_to(in.d_k + at);
  d_b.store_to(in.d_b + at);
}

// One step back: `gradient` is that of the state after the step, then of the one before it.
void take_back(float* gradient, const float* before, const Stage& in, int s, int row) {
  Sums parts;
  for (int q = 0; q < kSize; q += kBlock * kLanes)
    read_columns(gradient, before, in, s, row, q, parts);
  alignas(64) float d_u[kRows];
  store(d_u, sums(parts.d_u));
  store(in.d_v + s * kSize + row, sums(parts.d_v));
  for (int q = 0; q < kSize; q += kBlock * kLanes) {
    const int at = s * kSize + q;
    const Columns w(in.w + at), a(in.a + at);
    Columns d_a(in.d_a + at);
    for (int i = 0; i < kRows; ++i) {
      const float d_u_i = d_u[i];
#pragma GCC unroll 4
      for (int c = 0; c < kBlock; ++c) {
        const int place = i * kSize + q + c * kLanes;
        d_a.x[c] += load(before + place) * d_u_i;
        store(gradient + place, load(gradient + place) * w.x[c] + a.x[c] * d_u_i);
      }
    }
    d_a.store_to(in.d_a + at);
  }
}

// A tile through a segment and back. kept: its rows of the state before the segment. states: room
// for the state after every step, [steps, kRows, 64].
void backward_tile(float* gradient, const float* kept, const Stage& in, const bool* resets,
                   int steps, int row, const float* zeros, float* states) {
  const auto before = [&](int s) {
    return resets && resets[s] ? zeros : s == 0 ? kept : states + (s - 1) * kTile;
  };
  for (int s = 0; s < steps; ++s) move_rows(before(s), states + s * kTile, in, s, row);
  for (int s = steps - 1; s >= 0; --s) {
    take_back(gradient, before(s), in, s, row);
    if (resets && resets[s]) std::memset(gradient, 0, sizeof(float) * kTile);
  }
}

}  // namespace

template <class T>
void backward_heads(const Shape& shape, const Backward<T>& call, int first, int last) {
  Scratch scratch(kState + kTile + kSegment * kTile + 14 * kStaged);
  float* gradient = scratch.take(kState);
  float* zeros = scratch.take(kTile);
  float* states = scratch.take(kSegment * kTile);
  Stage in{};
  for (float** part : {&in.r, &in.w, &in.k, &in.v, &in.a, &in.b, &in.u, &in.d_y, &in.d_v})
    *part = scratch.take(kStaged);
  float* summed = scratch.take(5 * kStaged);  // over the tiles
  in.d_r = summed, in.d_w = summed + kStaged, in.d_k = summed + 2 * kStaged;
  in.d_a = summed + 3 * kStaged, in.d_b = summed + 4 * kStaged;
  std::memset(zeros, 0, sizeof(float) * kTile);
  const std::int64_t stride = shape.stride();

  for (int head = first; head < last; ++head) {
    const int b = head / shape.heads, h = head % shape.heads;
    if (call.d_final_state)
      std::memcpy(gradient, call.d_final_state + shape.state(b, h), sizeof(float) * kState);
    else
      std::memset(gradient, 0, sizeof(float) * kState);
    for (int segment = shape.segments() - 1; segment >= 0; --segment) {
      const int t = segment * kSegment, steps = std::min(kSegment, shape.steps - t);
      const std::int64_t at = shape.at(b, t, h);
      gather(call.r + at, stride, steps, in.r);
      gather_decay(call.log_w + at, stride, steps, in.w);
      gather(call.k + at, stride, steps, in.k);
      gather(call.v + at, stride, steps, in.v);
      gather(call.a + at, stride, steps, in.a);
      gather(call.b + at, stride, steps, in.b);
      gather(call.u + at, stride, steps, in.u);
      if (call.d_y)
        gather(call.d_y + at, stride, steps, in.d_y);
      else
        std::memset(in.d_y, 0, sizeof(float) * kStaged);
      std::memset(summed, 0, sizeof(float) * 5 * kStaged);
      const bool* resets =
          call.resets ? call.resets + std::int64_t(b) * shape.steps + t : nullptr;
      const float* kept = call.states + shape.kept(b, h, segment);
      for (int row = 0; row < kSize; row += kRows)
        backward_tile(gradient + row * kSize, kept + row * kSize, in, resets, steps, row, zeros,
                      states);
      for (int i = 0; i < steps * kSize; ++i) in.d_w[i] *= in.w[i];
      scatter(in.d_r, stride, steps, call.d_r + at);
      scatter(in.d_w, stride, steps, call.d_log_w + at);
      scatter(in.d_k, stride, steps, call.d_k + at);
      scatter(in.d_v, stride, steps, call.d_v + at);
      scatter(in.d_a, stride, steps, call.d_a + at);
      scatter(in.d_b, stride, steps, call.d_b + at);
    }
    std::memcpy(call.d_initial_state + shape.state(b, h), gradient, sizeof(float) * kState);
  }
}

template void backward_heads(const Shape&, const Backward<float>&, int, int);
template void backward_heads(const Shape&, const Backward<bf16>&, int, int);

}  // namespace wkv7
