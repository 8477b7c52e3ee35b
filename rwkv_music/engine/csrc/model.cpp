#include "model.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <stdexcept>

#include "load.h"

namespace rwkv {

namespace {

constexpr std::size_t kArenaBlockBytes = std::size_t{16} << 20;

// Fewer rows of a model in the cache are done before other threads have woken and met at each of
// its products.
constexpr int kRowsForThreads = 8;

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

// The threads for the time of one call, which they serve alone; or the caller's, who waits for
// nobody.
class Model::Threads {
 public:
  Threads(Model& model, bool wanted)
      : pool_(wanted && model.pool_.threads() > 1 ? model.pool_ : model.alone_),
        lock_(model.pool_mutex_, std::defer_lock) {
    if (pool_.threads() == 1) return;
    lock_.lock();
    pool_.open();
  }
  ~Threads() {
    if (lock_.owns_lock()) pool_.close();
  }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  Pool& pool() { return pool_; }

 private:
  Pool& pool_;
  std::unique_lock<std::mutex> lock_;
};

Model::Model(const Loading& loading, int threads, const std::string& isa)
    : arena_(kArenaBlockBytes),
      weights_(loading(arena_)),
      isa_(instruction_set(isa)),
      bytes_per_token_(rwkv::bytes_per_token(weights_)),
      pool_(checked_threads(threads)) {}

void Model::prefill(float* state, const int* tokens, int count, float* logits) {
  Lease lease(*this);
  Threads threads(*this, weights_.from_memory || count >= kRowsForThreads);
  for (int start = 0; start < count; start += kBlockRows) {
    const int rows = std::min(kBlockRows, count - start);
    pass(lease.space(), threads.pool(), {rows, tokens + start, &state, true}, start + rows == count,
         logits);
  }
}

void Model::step_batch(float* const* states, const int* tokens, int count, float* logits) {
  Threads threads(*this, weights_.from_memory || count > 1);
  Pool& pool = threads.pool();
  if (weights_.from_memory || pool.threads() == 1) {
    Lease lease(*this);
    steps(lease.space(), pool, states, tokens, count, logits);
    return;
  }
  // Weights in the cache can be read by each thread for rows of its own: then they meet once.
  std::deque<Lease> leases;
  for (int part = 0; part < pool.threads(); ++part) leases.emplace_back(*this);
  pool.run([&](int part, int parts) {
    const int first = count * part / parts, stop = count * (part + 1) / parts;
    steps(leases[part].space(), alone_, states + first, tokens + first, stop - first,
          logits + static_cast<std::size_t>(first) * weights_.vocabulary);
  });
}

void Model::steps(Workspace& space, Pool& pool, float* const* states, const int* tokens, int count,
                  float* logits) {
  for (int start = 0; start < count; start += kBlockRows) {
    const int rows = std::min(kBlockRows, count - start);
    pass(space, pool, {rows, tokens + start, states + start, false}, rows,
         logits + static_cast<std::size_t>(start) * weights_.vocabulary);
  }
}

void Model::pass(Workspace& space, Pool& pool, const Rows& rows, int logit_rows, float* logits) {
  const std::size_t v = weights_.vocabulary, padded = weights_.head.outputs;
  std::vector<float> wide(v == padded ? 0 : logit_rows * padded);
  isa_.forward({weights_, space, pool, rows}, logit_rows, wide.empty() ? logits : wide.data());
  if (!wide.empty())
    for (int r = 0; r < logit_rows; ++r)
      std::memcpy(logits + r * v, wide.data() + r * padded, v * sizeof(float));
}

}  // namespace rwkv
