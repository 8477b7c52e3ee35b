#include "load.h"

#include <cstdint>
#include <cstring>
#include <stdexcept>

namespace rwkv {

namespace {

class Loader {
 public:
  Loader(const Shape& shape, int bits, Tensors& tensors) : shape_(shape), tensors_(tensors) {
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

  // The order is that of a pass: so weights lie in memory, and in a file, as they are read.
  Weights weights() {
    const int c = shape_.width, v = shape_.vocabulary;
    const std::size_t values = static_cast<std::size_t>(v) * c;
    Weights weights;
    weights.width = c;
    weights.vocabulary = v;
    weights.embedding = tensors_.vector("emb.weight", values);
    block_ = "blocks.0.";
    weights.ln0 = norm("ln0");
    weights.layers.reserve(shape_.layers);
    for (int i = 0; i < shape_.layers; ++i) weights.layers.push_back(layer(i));
    block_.clear();
    weights.ln_out = norm("ln_out");
    weights.head = matrix("head.weight", small_, v, c);
    return weights;
  }

 private:
  Layer layer(int i) {
    const int c = shape_.width;
    block_ = "blocks." + std::to_string(i) + ".";
    Layer layer{};
    layer.ln1 = norm("ln1");
    layer.x_r = vector("att.x_r");
    layer.x_w = vector("att.x_w");
    layer.x_k = vector("att.x_k");
    layer.x_v = vector("att.x_v");
    layer.x_a = vector("att.x_a");
    layer.x_g = vector("att.x_g");
    layer.receptance = matrix("att.receptance.weight", large_, c, c);
    layer.key = matrix("att.key.weight", large_, c, c);
    layer.value = matrix("att.value.weight", large_, c, c);
    layer.decay = low_rank('w', shape_.rank_w);
    layer.rate = low_rank('a', shape_.rank_a);
    if (i > 0) layer.residual = low_rank('v', shape_.rank_v);
    layer.gate = low_rank('g', shape_.rank_g);
    layer.k_k = vector("att.k_k");
    layer.k_a = vector("att.k_a");
    layer.r_k = vector("att.r_k");
    layer.ln_x = norm("att.ln_x");
    layer.output = matrix("att.output.weight", large_, c, c);
    layer.ln2 = norm("ln2");
    layer.ffn_x_k = vector("ffn.x_k");
    layer.ffn_key = matrix("ffn.key.weight", large_, 4 * c, c);
    layer.ffn_value = matrix("ffn.value.weight", large_, c, 4 * c);
    if (shape_.enn)
      layer.enn = tensors_.vector(block_ + "ffn.enn.weight",
                                  static_cast<std::size_t>(shape_.vocabulary) * c);
    return layer;
  }

  const float* vector(const std::string& name) {
    return tensors_.vector(block_ + name, static_cast<std::size_t>(shape_.width));
  }

  Norm norm(const std::string& name) { return {vector(name + ".weight"), vector(name + ".bias")}; }

  Matrix matrix(const std::string& name, Format format, int outputs, int inputs,
                bool flipped = false) {
    return tensors_.matrix(block_ + name, {format, outputs, inputs}, outputs, inputs, flipped);
  }

  LowRank low_rank(char letter, int rank) {
    const std::string name = std::string("att.") + letter;
    LowRank low;
    low.in = matrix(name + "1", small_, rank, shape_.width, true);
    low.out = matrix(name + "2", small_, shape_.width, rank, true);
    if (letter != 'g') low.bias = vector(name + "0");
    return low;
  }

  const Shape& shape_;
  Tensors& tensors_;
  Format large_, small_;
  std::string block_;
};

// Expects floats, or halves of them (bfloat16), that are finite: not all bits of an exponent.
template <class Word>
void expect_finite(const std::string& name, const std::byte* data, std::size_t bytes) {
  constexpr Word kExponent = static_cast<Word>(sizeof(Word) == 4 ? 0x7F800000 : 0x7F80);
  Word bad = 0;
  for (std::size_t i = 0; i < bytes; i += sizeof(Word)) {
    Word word;
    std::memcpy(&word, data + i, sizeof(Word));
    bad |= static_cast<Word>((word & kExponent) == kExponent);
  }
  if (bad != 0) throw std::invalid_argument(name + ": holds values that are no finite numbers");
}

std::size_t matrix_bytes(const Matrix& m) {
  return m.data == nullptr ? 0 : m.bytes() + m.scale_bytes();
}

}  // namespace

const float* Packing::vector(const std::string& name, std::size_t values) {
  const float* official = official_(name, values);
  float* copy = arena_.items<float>(values);
  std::memcpy(copy, official, values * sizeof(float));
  return copy;
}

Matrix Packing::matrix(const std::string& name, const Matrix& layout, int outputs, int inputs,
                       bool flipped) {
  const float* official = official_(name, static_cast<std::size_t>(outputs) * inputs);
  Matrix m = layout;
  auto* data = arena_.items<std::byte>(m.bytes());
  auto* scales = m.scale_bytes() > 0 ? arena_.items<std::byte>(m.scale_bytes()) : nullptr;
  pack(m, {official, outputs, inputs, flipped ? 1 : inputs, flipped ? outputs : 1}, data, scales);
  m.data = data;
  m.scales = scales;
  return m;
}

const float* Packed::vector(const std::string& name, std::size_t values) {
  const std::byte* bytes = blocks_(name, values * sizeof(float));
  expect_finite<std::uint32_t>(name, bytes, values * sizeof(float));
  return reinterpret_cast<const float*>(bytes);
}

Matrix Packed::matrix(const std::string& name, const Matrix& layout, int, int, bool) {
  Matrix m = layout;
  m.data = blocks_(name, m.bytes());
  if (m.scale_bytes() > 0) m.scales = blocks_(name + ".scales", m.scale_bytes());
  switch (m.format) {
    case Format::float32: expect_finite<std::uint32_t>(name, m.data, m.bytes()); break;
    case Format::bfloat16: expect_finite<std::uint16_t>(name, m.data, m.bytes()); break;
    case Format::int8: expect_finite<std::uint32_t>(name, m.scales, m.scale_bytes()); break;
    case Format::int4: expect_finite<std::uint16_t>(name, m.scales, m.scale_bytes()); break;
  }
  return m;
}

Weights load(const Shape& shape, int bits, Tensors& tensors) {
  if (shape.layers < 1 || shape.width < kHeadSize || shape.width % kHeadSize != 0)
    throw std::invalid_argument("model: expected one layer or more, a width of whole heads");
  Weights weights = Loader(shape, bits, tensors).weights();
  weights.from_memory = bytes_per_token(weights) > kCacheBytes;
  return weights;
}

std::size_t bytes_per_token(const Weights& weights) {
  const std::size_t row = weights.width * sizeof(float);
  std::size_t bytes = matrix_bytes(weights.head) + 5 * row;
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
