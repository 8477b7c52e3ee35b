#include "load.h"

#include <cmath>
#include <cstring>
#include <stdexcept>

namespace rwkv {

namespace {

class Loader {
 public:
  Loader(Arena& arena, const Shape& shape, int bits, const Tensors& tensors)
      : arena_(arena), shape_(shape), tensors_(tensors) {
    switch (bits) {
      case 32: large_ = small_ = Format::float32; break;
      case 16: large_ = small_ = Format::bfloat16; break;
      case 8: large_ = small_ = Format::int8; break;
      case 4: large_ = Format::int4, small_ = Format::int8; break;
      default:
        throw std::invalid_argument("bits: got " + std::to_string(bits) +
                                    ", expected 32, 16, 8 or 4");
    }
  }

  Layer layer(int i) {
    const int c = shape_.width;
    block_ = "blocks." + std::to_string(i) + ".";
    Layer layer{};
    layer.ln1 = norm("ln1");
    layer.ln2 = norm("ln2");
    layer.ln_x = norm("att.ln_x");
    layer.x_r = vector("att.x_r");
    layer.x_w = vector("att.x_w");
    layer.x_k = vector("att.x_k");
    layer.x_v = vector("att.x_v");
    layer.x_a = vector("att.x_a");
    layer.x_g = vector("att.x_g");
    layer.k_k = vector("att.k_k");
    layer.k_a = vector("att.k_a");
    layer.r_k = vector("att.r_k");
    layer.receptance = matrix("att.receptance.weight", c, c);
    layer.key = matrix("att.key.weight", c, c);
    layer.value = matrix("att.value.weight", c, c);
    layer.decay = low_rank('w', shape_.rank_w);
    layer.rate = low_rank('a', shape_.rank_a);
    if (i > 0) layer.residual = low_rank('v', shape_.rank_v);
    layer.gate = low_rank('g', shape_.rank_g);
    layer.output = matrix("att.output.weight", c, c);
    layer.ffn_x_k = vector("ffn.x_k");
    layer.ffn_key = matrix("ffn.key.weight", 4 * c, c);
    layer.ffn_value = matrix("ffn.value.weight", c, 4 * c);
    if (shape_.enn)
      layer.enn = vector("ffn.enn.weight", static_cast<std::size_t>(shape_.vocabulary) * c);
    return layer;
  }

  // What is not in a block.
  void ends(Weights& weights) {
    const int c = shape_.width, v = shape_.vocabulary;
    block_ = "blocks.0.";
    const Norm ln0 = norm("ln0");
    block_.clear();
    weights.embedding = embedding(ln0);
    weights.ln_out = norm("ln_out");
    weights.head =
        pack(arena_, small_, {tensors_("head.weight", std::size_t(v) * c), v, c, c, 1});
  }

 private:
  const float* vector(const char* name, std::size_t values = 0) {
    if (values == 0) values = shape_.width;
    float* copy = arena_.items<float>(values);
    std::memcpy(copy, tensors_(block_ + name, values), values * sizeof(float));
    return copy;
  }

  Norm norm(const std::string& name) {
    return {vector((name + ".weight").c_str()), vector((name + ".bias").c_str())};
  }

  Matrix matrix(const char* name, int outputs, int inputs) {
    const float* data = tensors_(block_ + name, std::size_t(outputs) * inputs);
    return pack(arena_, large_, {data, outputs, inputs, inputs, 1});
  }

  // Official low-rank factors are stored [in, out].
  LowRank low_rank(char letter, int rank) {
    const int c = shape_.width;
    const std::string name = block_ + "att." + letter;
    LowRank low;
    low.in = pack(arena_, small_, {tensors_(name + "1", std::size_t(c) * rank), rank, c, 1, rank});
    low.out = pack(arena_, small_, {tensors_(name + "2", std::size_t(c) * rank), c, rank, 1, c});
    if (letter != 'g') low.bias = vector((std::string("att.") + letter + "0").c_str());
    return low;
  }

  const float* embedding(const Norm& ln0) {
    const int c = shape_.width;
    const std::size_t values = static_cast<std::size_t>(shape_.vocabulary) * c;
    float* rows = arena_.items<float>(values);
    std::memcpy(rows, tensors_("emb.weight", values), values * sizeof(float));
    for (float* row = rows; row != rows + values; row += c) {
      double mean = 0, variance = 0;
      for (int i = 0; i < c; ++i) mean += row[i];
      mean /= c;
      for (int i = 0; i < c; ++i) variance += (row[i] - mean) * (row[i] - mean);
      const double scale = 1 / std::sqrt(variance / c + 1e-5);
      for (int i = 0; i < c; ++i)
        row[i] = static_cast<float>((row[i] - mean) * scale * ln0.weight[i] + ln0.bias[i]);
    }
    return rows;
  }

  Arena& arena_;
  const Shape& shape_;
  const Tensors& tensors_;
  Format large_, small_;
  std::string block_;
};

std::size_t matrix_bytes(const Matrix& m) {
  std::size_t bytes = m.data == nullptr ? 0 : m.bytes();
  if (m.output_scales != nullptr) bytes += m.outputs * sizeof(float);
  if (m.group_scales != nullptr) bytes += std::size_t(m.outputs) * m.groups() * 2;
  return bytes;
}

}  // namespace

Weights load(Arena& arena, const Shape& shape, int bits, const Tensors& tensors) {
  if (shape.layers < 1 || shape.width < kHeadSize || shape.width % kHeadSize != 0)
    throw std::invalid_argument("model: expected one layer or more, a width of whole heads");
  Loader loader(arena, shape, bits, tensors);
  Weights weights;
  weights.width = shape.width;
  weights.vocabulary = shape.vocabulary;
  weights.layers.reserve(shape.layers);
  for (int i = 0; i < shape.layers; ++i) weights.layers.push_back(loader.layer(i));
  loader.ends(weights);
  return weights;
}

std::size_t bytes_per_token(const Weights& weights) {
  const std::size_t row = weights.width * sizeof(float);
  std::size_t bytes = matrix_bytes(weights.head) + 3 * row;
  for (const Layer& layer : weights.layers) {
    bytes += (layer.enn ? 1 : 0) * row;
    for (const LowRank* low : {&layer.decay, &layer.rate, &layer.residual, &layer.gate})
      bytes += matrix_bytes(low->in) + matrix_bytes(low->out) + (low->bias ? row : 0);
    for (const Matrix* m : {&layer.receptance, &layer.key, &layer.value, &layer.output,
                            &layer.ffn_key, &layer.ffn_value})
      bytes += matrix_bytes(*m);
    bytes += 16 * row;  // three norms, seven mixes, k_k, k_a, r_k
  }
  return bytes;
}

}  // namespace rwkv
