// A loaded model: its weights in one arena, its instruction set, its threads.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "arena.h"
#include "cpu.h"
#include "layer.h"
#include "pool.h"
#include "quantize.h"
#include "workspace.h"

namespace rwkv {

struct Shape {
  int layers, width, vocabulary;
  int rank_w, rank_a, rank_v, rank_g;
  bool enn;
};

// The official tensor of that name, contiguous, of `values` values; good until the next call.
using Tensors = std::function<const float*(const std::string& name, std::size_t values)>;

class Model {
 public:
  // `bits`: 32, 16, 8 or 4 for a weight. With 4, low ranks and the head keep 8.
  // Throws std::invalid_argument, std::bad_alloc, and what `tensors` throws.
  Model(const Shape& shape, int bits, int threads, const std::string& isa, const Tensors& tensors);

  const Weights& weights() const { return weights_; }
  const InstructionSet& isa() const { return isa_; }
  std::size_t bytes_per_token() const { return bytes_per_token_; }

  // One state hears `count` tokens; logits [V] after the last. From any thread, as is step_batch.
  void prefill(float* state, const int* tokens, int count, float* logits);

  // Each of `count` states hears its token; logits [count][V].
  void step_batch(float* const* states, const int* tokens, int count, float* logits);

 private:
  class Lease;
  void pass(Workspace& space, const Rows& rows, int logit_rows, float* logits);

  Arena arena_;
  Weights weights_;
  const InstructionSet& isa_;
  std::size_t bytes_per_token_ = 0;
  Pool pool_;
  std::mutex pool_mutex_, spaces_mutex_;
  std::vector<std::unique_ptr<Workspace>> spaces_;
};

}  // namespace rwkv
