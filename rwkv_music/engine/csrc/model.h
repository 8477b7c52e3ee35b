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
#include "workspace.h"

namespace rwkv {

class Model {
 public:
  // `loading` may put weights into the model's own memory, or leave them where they are.
  using Loading = std::function<Weights(Arena& arena)>;
  Model(const Loading& loading, int threads, const std::string& isa);

  const Weights& weights() const { return weights_; }
  const InstructionSet& isa() const { return isa_; }
  std::size_t bytes_per_token() const { return bytes_per_token_; }
  int threads() const { return pool_.threads(); }

  // One state hears `count` tokens; logits [V] after the last. From any thread, as is step_batch.
  void prefill(float* state, const int* tokens, int count, float* logits);

  // Each of `count` states hears its token; logits [count][V].
  void step_batch(float* const* states, const int* tokens, int count, float* logits);

 private:
  class Lease;
  class Threads;
  void steps(Workspace& space, Pool& pool, float* const* states, const int* tokens, int count,
             float* logits);
  void pass(Workspace& space, Pool& pool, const Rows& rows, int logit_rows, float* logits);

  Arena arena_;
  Weights weights_;
  const InstructionSet& isa_;
  std::size_t bytes_per_token_ = 0;
  Pool pool_, alone_{1};  // alone_: the caller without others
  std::mutex pool_mutex_, spaces_mutex_;
  std::vector<std::unique_ptr<Workspace>> spaces_;
};

}  // namespace rwkv
