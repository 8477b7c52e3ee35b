// The feed-forward half of a block, for all rows of a pass.
#pragma once

#include <cstring>

#include "functions.h"
#include "pass.h"
#include "time_mix.h"

namespace rwkv {

// x += W_v relu(W_k mixed)^2, times the token's `enn` where the model has it.
template <class S>
void channel_mix(const Pass& pass, const Layer& layer, std::size_t place) {
  using F = typename S::F;
  Workspace& space = pass.space;
  const int c = pass.width(), hidden = 4 * c, rows = pass.rows.count;
  const std::size_t shift = place + static_cast<std::size_t>(c) * kHeadSize + c;
  for (int r = 0; r < rows; ++r)
    normalise<S>(pass.row(space.x, r), c, kLayerNormEps, layer.ln2.weight, layer.ln2.bias,
                 pass.row(space.normal, r));
  shift_and_mix<S>(pass, shift, {{layer.ffn_x_k, space.in_ffn, layer.ffn_key.format}});
  for (int r = 0; r < rows; ++r)
    std::memcpy(pass.rows.state(r) + shift, pass.row(space.normal, r), c * sizeof(float));

  multiply<S>(pass, rows, {{&layer.ffn_key, &space.in_ffn, space.hidden, hidden}});
  for (int r = 0; r < rows; ++r) {
    float* row = space.hidden + static_cast<std::size_t>(r) * hidden;
    for (int i = 0; i < hidden; i += 16) {
      const F positive = S::max(S::load(row + i), S::zero());
      S::store(row + i, S::mul(positive, positive));
    }
    prepare_rows<S>(layer.ffn_value.format, row, space.in_hidden, r, 1);
  }
  multiply<S>(pass, rows, {{&layer.ffn_value, &space.in_hidden, space.out, c}});
  for (int r = 0; r < rows; ++r) {
    float *x = pass.row(space.x, r), *out = pass.row(space.out, r);
    if (layer.enn != nullptr) {
      const float* enn = layer.enn + static_cast<std::size_t>(pass.rows.tokens[r]) * c;
      for (int i = 0; i < c; i += 16)
        S::store(out + i, S::mul(S::load(out + i), S::load(enn + i)));
    }
    for (int i = 0; i < c; i += 16) S::store(x + i, S::add(S::load(x + i), S::load(out + i)));
  }
}

}  // namespace rwkv
