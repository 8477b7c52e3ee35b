#include "workspace.h"

namespace rwkv {

Workspace::Workspace(const Weights& weights) : arena_(std::size_t{1} << 20) {
  const int c = weights.width;
  for (float** buffer : {&x, &normal, &out, &r, &k, &v, &v_first, &y, &decay, &rate,
                         &residual, &gate})
    *buffer = floats(c);
  mixed = arena_.items<float>(std::size_t{kMixedRows} * c);
  hidden = floats(4 * c);
  for (Input* in : {&in_r, &in_w, &in_k, &in_v, &in_a, &in_g, &in_output, &in_ffn, &in_head})
    *in = input(c);
  in_hidden = input(4 * c);
  // The ranks are the same in every layer, but layer 0 has no residual.
  const Layer& last = weights.layers.back();
  const auto low = [&](const LowRank& product, float*& buffer, Input& in) {
    buffer = floats(product.out.inputs);
    in = input(product.out.inputs);
  };
  low(last.decay, low_w, in_low_w);
  low(last.rate, low_a, in_low_a);
  low(last.residual, low_v, in_low_v);
  low(last.gate, low_g, in_low_g);
}

Input Workspace::input(int columns) {
  Input in;
  in.inputs = columns;
  in.data = arena_.items<std::byte>(std::size_t{kBlockRows} * columns * sizeof(float));
  in.scales = floats(in.groups());
  in.sums = arena_.items<std::int32_t>(std::size_t{kBlockRows} * in.groups());
  return in;
}

}  // namespace rwkv
