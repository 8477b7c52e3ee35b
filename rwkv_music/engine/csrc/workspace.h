// What a forward pass writes besides the states: one workspace for each pass under way.
#pragma once

#include "arena.h"
#include "input.h"
#include "layer.h"

namespace rwkv {

constexpr int kBlockRows = 64;  // rows of one pass: more are heard block by block
constexpr int kMixedRows = 4;   // rows mixed at a time: they stay in the nearest cache

// Buffers [row][C] where nothing else is said. What a low rank is padded with stays zero.
struct Workspace {
  explicit Workspace(const Weights& weights);

  float *x, *normal, *out;
  float* mixed;                               // [kMixedRows][C]
  float *r, *k, *v, *v_first, *y;
  float *decay, *rate, *residual, *gate;      // results of the low-rank products
  float* hidden;                              // [row][4C]
  float *low_w, *low_a, *low_v, *low_g;       // [row][padded rank]
  Input in_r, in_w, in_k, in_v, in_a, in_g;   // mixed rows
  Input in_low_w, in_low_a, in_low_v, in_low_g;
  Input in_output, in_ffn, in_hidden, in_head;

 private:
  Arena arena_;
  float* floats(int columns) { return arena_.items<float>(std::size_t{kBlockRows} * columns); }
  Input input(int columns);
};

}  // namespace rwkv
