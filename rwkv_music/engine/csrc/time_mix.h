// The attention half of a block, for all rows of a pass.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>

#include "functions.h"
#include "pass.h"
#include "wkv.h"

namespace rwkv {

constexpr float kLayerNormEps = 1e-5f, kGroupNormEps = 64e-5f;
constexpr float kLogDecay = -0.60653066f;  // -exp(-0.5), the strongest decay as a logarithm

struct Mix {
  const float* mu;
  const Input& input;
  Format format;
};

// Fills the inputs: x + (x before - x) mu, in the form that their matrices multiply.
template <class S, std::size_t count>
void shift_and_mix(const Pass& pass, std::size_t shift, const Mix (&mixes)[count]) {
  const Workspace& space = pass.space;
  for (int first = 0; first < pass.rows.count; first += kMixedRows) {
    const int rows = std::min(kMixedRows, pass.rows.count - first);
    for (const Mix& mix : mixes) {
      for (int r = 0; r < rows; ++r) {
        const float* x = pass.row(space.normal, first + r);
        const float* before = row_before(pass, space.normal, shift, first + r);
        for (int i = 0; i < pass.width(); i += 16) {
          const typename S::F now = S::load(x + i), dx = S::sub(S::load(before + i), now);
          S::store(pass.row(space.mixed, r) + i, S::fma(dx, S::load(mix.mu + i), now));
        }
      }
      prepare_rows<S>(mix.format, space.mixed, mix.input, first, rows);
    }
  }
}

// Applies f to the low-rank rows and prepares them for the way out.
template <class S, class Function>
void bend(const Pass& pass, const LowRank& low, float* rows, const Input& input, Function f) {
  for (int r = 0; r < pass.rows.count; ++r) {
    float* row = rows + static_cast<std::size_t>(r) * low.out.inputs;
    for (int i = 0; i < low.in.outputs; i += 16) S::store(row + i, f(S::load(row + i)));
  }
  prepare_rows<S>(low.out.format, rows, input, 0, pass.rows.count);
}

// One head of one row, from its products to what goes into the output matrix; S moves on.
template <class S>
void mix_head(const Pass& pass, const Layer& layer, int row, int head, float* wkv) {
  using F = typename S::F;
  constexpr int N = kHeadSize;
  const Workspace& space = pass.space;
  const int c = head * N;
  const auto at = [&](float* buffer) { return pass.row(buffer, row) + c; };
  alignas(64) float w[N], k[N], v[N], kk[N], kka[N], y[N];
  alignas(64) float rate[N];
  F length = S::zero();
  for (int i = 0; i < N; i += 16) {
    const auto constant = [&](const float* vector) { return S::load(vector + c + i); };
    const auto product = [&](float* buffer) { return S::load(at(buffer) + i); };
    const F one = S::set(1);
    const F decay = sigmoid<S>(S::add(product(space.decay), constant(layer.decay.bias)));
    S::store(w + i, exp<S>(S::mul(decay, S::set(kLogDecay))));
    const F a = sigmoid<S>(S::add(product(space.rate), constant(layer.rate.bias)));
    S::store(rate + i, a);
    F value = product(space.v);
    if (layer.residual.bias == nullptr) {
      S::store(at(space.v_first) + i, value);
    } else {
      const F share = sigmoid<S>(S::add(product(space.residual), constant(layer.residual.bias)));
      value = S::fma(S::sub(product(space.v_first), value), share, value);
    }
    S::store(v + i, value);
    const F key = product(space.k), removal = S::mul(key, constant(layer.k_k));
    S::store(kk + i, removal);
    length = S::fma(removal, removal, length);
    S::store(k + i, S::mul(key, S::fma(S::sub(a, one), constant(layer.k_a), one)));
  }
  const float norm = std::sqrt(S::sum(length));
  const F inverse = S::set(1 / (norm > 1e-12f ? norm : 1e-12f));
  F bonus = S::zero();
  for (int i = 0; i < N; i += 16) {
    const F removal = S::mul(S::load(kk + i), inverse);
    S::store(kk + i, removal);
    S::store(kka + i, S::mul(removal, S::load(rate + i)));
    const F r_k = S::mul(S::load(at(space.r) + i), S::load(layer.r_k + c + i));
    bonus = S::fma(r_k, S::load(k + i), bonus);
  }
  wkv_step<S>(wkv, {at(space.r), w, k, v, kk, kka, y});
  normalise<S>(y, N, kGroupNormEps, layer.ln_x.weight + c, layer.ln_x.bias + c, y);
  const F sum = S::set(S::sum(bonus));
  for (int i = 0; i < N; i += 16) {
    const F mixed = S::fma(sum, S::load(v + i), S::load(y + i));
    S::store(at(space.y) + i, S::mul(mixed, S::load(at(space.gate) + i)));
  }
}

// One head of all rows. Many rows of one state move a copy of S, whose alignment is certain.
template <class S>
void mix_head_rows(const Pass& pass, const Layer& layer, int head, std::size_t place) {
  constexpr int kValues = kHeadSize * kHeadSize;
  const Rows& rows = pass.rows;
  place += static_cast<std::size_t>(head) * kValues;
  if (!rows.one_state || rows.count < 4) {
    for (int r = 0; r < rows.count; ++r)
      mix_head<S>(pass, layer, r, head, rows.state(r) + place);
  } else {
    alignas(64) float wkv[kValues];
    std::memcpy(wkv, rows.state(0) + place, sizeof wkv);
    for (int r = 0; r < rows.count; ++r) mix_head<S>(pass, layer, r, head, wkv);
    std::memcpy(rows.state(0) + place, wkv, sizeof wkv);
  }
}

// x += attention(ln1 x). `place` is where this layer starts in a state.
template <class S>
void time_mix(const Pass& pass, const Layer& layer, std::size_t place) {
  using F = typename S::F;
  Workspace& space = pass.space;
  const int c = pass.width(), rows = pass.rows.count;
  const std::size_t shift = place + static_cast<std::size_t>(c) * kHeadSize;
  for (int r = 0; r < rows; ++r)
    normalise<S>(pass.row(space.x, r), c, kLayerNormEps, layer.ln1.weight, layer.ln1.bias,
                 pass.row(space.normal, r));
  shift_and_mix<S>(pass, shift,
                   {{layer.x_r, space.in_r, layer.receptance.format},
                    {layer.x_w, space.in_w, layer.decay.in.format},
                    {layer.x_k, space.in_k, layer.key.format},
                    {layer.x_v, space.in_v, layer.value.format},
                    {layer.x_a, space.in_a, layer.rate.in.format},
                    {layer.x_g, space.in_g, layer.gate.in.format}});
  for (int r = 0; r < rows; ++r)
    std::memcpy(pass.rows.state(r) + shift, pass.row(space.normal, r), c * sizeof(float));

  multiply<S>(pass, rows,
              {{&layer.receptance, &space.in_r, space.r, c},
               {&layer.key, &space.in_k, space.k, c},
               {&layer.value, &space.in_v, space.v, c},
               {&layer.decay.in, &space.in_w, space.low_w, layer.decay.out.inputs},
               {&layer.rate.in, &space.in_a, space.low_a, layer.rate.out.inputs},
               {&layer.residual.in, &space.in_v, space.low_v, layer.residual.out.inputs},
               {&layer.gate.in, &space.in_g, space.low_g, layer.gate.out.inputs}});
  const auto same = [](F x) { return x; };
  bend<S>(pass, layer.decay, space.low_w, space.in_low_w, [](F x) { return tanh<S>(x); });
  bend<S>(pass, layer.rate, space.low_a, space.in_low_a, same);
  bend<S>(pass, layer.gate, space.low_g, space.in_low_g, [](F x) { return sigmoid<S>(x); });
  if (layer.residual.bias != nullptr)
    bend<S>(pass, layer.residual, space.low_v, space.in_low_v, same);
  multiply<S>(pass, rows,
              {{&layer.decay.out, &space.in_low_w, space.decay, c},
               {&layer.rate.out, &space.in_low_a, space.rate, c},
               {&layer.residual.out, &space.in_low_v, space.residual, c},
               {&layer.gate.out, &space.in_low_g, space.gate, c}});
  pass.pool.run([&](int part, int parts) {
    const int heads = pass.weights.heads();
    for (int head = heads * part / parts; head < heads * (part + 1) / parts; ++head)
      mix_head_rows<S>(pass, layer, head, place);
  });
  prepare_rows<S>(layer.output.format, space.y, space.in_output, 0, rows);
  multiply<S>(pass, rows, {{&layer.output, &space.in_output, space.out, c}});
  for (int i = 0; i < rows * c; i += 16)
    S::store(space.x + i, S::add(S::load(space.x + i), S::load(space.out + i)));
}

}  // namespace rwkv
