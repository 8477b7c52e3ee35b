// One block's weights, and the whole model's; see packed.h for matrices. C width, F = 4C, V tokens.
#pragma once

#include <vector>

#include "packed.h"

namespace rwkv {

struct Norm {
  const float *weight, *bias;
};

// x -> f(x in) out + bias, by way of a few dimensions.
struct LowRank {
  Matrix in, out;
  const float* bias = nullptr;
};

struct Layer {
  Norm ln1, ln2, ln_x;
  const float *x_r, *x_w, *x_k, *x_v, *x_a, *x_g;  // [C]
  const float *k_k, *k_a, *r_k;                    // [C]
  LowRank decay, rate, residual, gate;             // w, a, v (not in layer 0), g
  Matrix receptance, key, value, output;
  const float* ffn_x_k;
  Matrix ffn_key, ffn_value;
  const float* enn;  // [V, C], or null
};

struct Weights {
  int width = 0, vocabulary = 0;
  std::vector<Layer> layers;
  const float* embedding = nullptr;  // [V, C]
  Norm ln0{}, ln_out{};
  Matrix head;
  bool from_memory = false;  // too much for a cache: see kCacheBytes

  int heads() const { return width / kHeadSize; }
  int layer_state() const { return width * kHeadSize + 2 * width; }
  std::size_t state_size() const { return layers.size() * layer_state(); }
};

}  // namespace rwkv
