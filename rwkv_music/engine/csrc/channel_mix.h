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
  for (int r = 0; r < rows; ++r) {
    const float *x = pass.row(space.normal, r), *before = row_before(pass, space.normal, shift, r);
    for (int i = 0; i < c; i += 16) {
      const F now = S::load(x + i), dx = S::sub(S::load(before + i), now);
      S::store(space.mixed + i, S::fma(dx, S::load(layer.ffn_x_k + i), now));
    }
    prepare_row<S>(layer.ffn_key.format, space.mixed, space.in_ffn, r);
  }
  for (int r = 0; r < rows; ++r)
    std::memcpy(pass.rows.state(r) + shift, pass.row(space.normal, r), c * sizeof(float));

  multiply<S>(pass.pool, rows, {{&layer.ffn_key, &space.in_ffn, space.hidden, hidden}});
  for (int r = 0; r < rows; ++r) {
    float* row = space.hidden + static_cast<std::size_t>(r) * hidden;
    for (int i = 0; i < hidden; i += 16) {
      const F positive = S::max(S::load(row + i), S::zero());
      S::store(row + i, S::mul(positive, positive));
    }
    prepare_row<S>(layer.ffn_value.format, row, space.in_hidden, r);
  }
  multiply<S>(pass.pool, rows, {{&layer.ffn_value, &space.in_hidden, space.out, c}});
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
