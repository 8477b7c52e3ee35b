#include "model.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "load.h"

namespace rwkv {

namespace {

constexpr std::size_t kArenaBlockBytes = std::size_t{16} << 20;

int checked_threads(int threads) {
  if (threads < 1 || threads > 256)
    throw std::invalid_argument("threads: got " + std::to_string(threads) + ", expected 1 to 256");
  return threads;
}

}  // namespace

// A workspace for the time of one call.
class Model::Lease {
 public:
  explicit Lease(Model& model) : model_(model) {
    const std::lock_guard<std::mutex> lock(model_.spaces_mutex_);
    if (!model_.spaces_.empty()) {
      space_ = std::move(model_.spaces_.back());
      model_.spaces_.pop_back();
    }
    if (!space_) space_ = std::make_unique<Workspace>(model_.weights_);
  }
  ~Lease() {
    const std::lock_guard<std::mutex> lock(model_.spaces_mutex_);
    model_.spaces_.push_back(std::move(space_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  Workspace& space() { return *space_; }

 private:
  Model& model_;
  std::unique_ptr<Workspace> space_;
};

Model::Model(const Loading& loading, int threads, const std::string& isa)
    : arena_(kArenaBlockBytes),
      weights_(loading(arena_)),
      isa_(instruction_set(isa)),
      bytes_per_token_(rwkv::bytes_per_token(weights_)),
      pool_(checked_threads(threads)) {}

void Model::prefill(float* state, const int* tokens, int count, float* logits) {
  Lease lease(*this);
  for (int start = 0; start < count; start += kBlockRows) {
    const int rows = std::min(kBlockRows, count - start);
    pass(lease.space(), {rows, tokens + start, &state, true}, start + rows == count, logits);
  }
}

void Model::step_batch(float* const* states, const int* tokens, int count, float* logits) {
  Lease lease(*this);
  for (int start = 0; start < count; start += kBlockRows) {
    const int rows = std::min(kBlockRows, count - start);
    pass(lease.space(), {rows, tokens + start, states + start, false}, rows,
         logits + static_cast<std::size_t>(start) * weights_.vocabulary);
  }
}

void Model::pass(Workspace& space, const Rows& rows, int logit_rows, float* logits) {
  const std::size_t v = weights_.vocabulary, padded = weights_.head.outputs;
  std::vector<float> wide(v == padded ? 0 : logit_rows * padded);
  // The threads serve one pass at a time; a model without any serves as many as call.
  std::unique_lock<std::mutex> lock(pool_mutex_, std::defer_lock);
  if (pool_.threads() > 1) lock.lock();
  pool_.open();
  isa_.forward({weights_, space, pool_, rows}, logit_rows, wide.empty() ? logits : wide.data());
  pool_.close();
  if (!wide.empty())
    for (int r = 0; r < logit_rows; ++r)
      std::memcpy(logits + r * v, wide.data() + r * padded, v * sizeof(float));
}

}  // namespace rwkv
