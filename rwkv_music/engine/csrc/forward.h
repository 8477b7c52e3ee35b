// A whole pass through the model, for one instruction set; every isa_*.cpp makes one of them.
#pragma once

#include "channel_mix.h"
#include "pass.h"
#include "time_mix.h"

namespace rwkv {

// Moves the states on past their tokens. Logits [row][padded V] of the last `logit_rows` rows.
using Forward = void (*)(const Pass& pass, int logit_rows, float* logits);

struct InstructionSet {
  const char* name;
  Forward forward;
  float (*read)(const float* values, std::size_t count, bool from_memory);  // see read.h
};

template <class S>
void forward(const Pass& pass, int logit_rows, float* logits) {
  const Weights& weights = pass.weights;
  Workspace& space = pass.space;
  const int c = weights.width, rows = pass.rows.count;
  for (int r = 0; r < rows; ++r)
    normalise<S>(weights.embedding + static_cast<std::size_t>(pass.rows.tokens[r]) * c, c,
                 kLayerNormEps, weights.ln0.weight, weights.ln0.bias, pass.row(space.x, r));
  std::size_t place = 0;
  for (const Layer *layer = weights.layers.data(), *end = layer + weights.layers.size();
       layer != end; ++layer, place += weights.layer_state()) {
    time_mix<S>(pass, *layer, place);
    channel_mix<S>(pass, *layer, place);
  }
  if (logit_rows == 0) return;
  for (int r = 0; r < logit_rows; ++r)
    normalise<S>(pass.row(space.x, rows - logit_rows + r), c, kLayerNormEps, weights.ln_out.weight,
                 weights.ln_out.bias, pass.row(space.normal, r));
  prepare_rows<S>(weights.head.format, space.normal, space.in_head, 0, logit_rows);
  multiply<S>(pass, logit_rows,
              {{&weights.head, &space.in_head, logits, weights.head.outputs}});
}

}  // namespace rwkv
