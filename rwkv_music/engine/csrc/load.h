// A model's tensors, by official name, to its weights.
#pragma once

#include <functional>
#include <string>

#include "arena.h"
#include "layer.h"
#include "quantize.h"

namespace rwkv {

struct Shape {
  int layers, width, vocabulary;
  int rank_w, rank_a, rank_v, rank_g;
  bool enn;
};

// Where weights come from. They are asked for in the order in which a pass reads them, each once;
// what is returned lives as long as the model. `values` counts what an array must hold.
class Tensors {
 public:
  virtual ~Tensors() = default;
  virtual const float* vector(const std::string& name, std::size_t values) = 0;
  // `flipped`: the official tensor is stored [in, out].
  virtual Matrix matrix(const std::string& name, const Matrix& layout, int outputs, int inputs,
                        bool flipped) = 0;
};

// The official float32 tensor of that name, contiguous, of so many values; good until the next call.
using Official = std::function<const float*(const std::string& name, std::size_t values)>;

// Copies official tensors into an arena, packed.
class Packing : public Tensors {
 public:
  Packing(Arena& arena, Official official) : arena_(arena), official_(std::move(official)) {}
  const float* vector(const std::string& name, std::size_t values) override;
  Matrix matrix(const std::string& name, const Matrix& layout, int outputs, int inputs,
                bool flipped) override;

 private:
  Arena& arena_;
  Official official_;
};

// A block of a packed file: what `Packing` made under that name once, of so many bytes, beginning
// where a float may; the scales of a matrix are a block of their own, NAME.scales. Throws for what is
// not there.
using Blocks = std::function<const std::byte*(const std::string& name, std::size_t bytes)>;

// Leaves packed tensors where they are.
class Packed : public Tensors {
 public:
  explicit Packed(Blocks blocks) : blocks_(std::move(blocks)) {}
  const float* vector(const std::string& name, std::size_t values) override;
  Matrix matrix(const std::string& name, const Matrix& layout, int outputs, int inputs,
                bool flipped) override;

 private:
  Blocks blocks_;
};

// `bits`: 32, 16, 8 or 4 for a weight. With 4, low ranks and the head keep 8.
// Throws std::invalid_argument, std::bad_alloc, and what `tensors` throws.
Weights load(const Shape& shape, int bits, Tensors& tensors);

// What one token reads: every matrix and vector once; one row of the embedding and of `enn`.
std::size_t bytes_per_token(const Weights& weights);

}  // namespace rwkv
