#include "pool.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace rwkv {

namespace {

void relax() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && !defined(_MSC_VER)
  asm volatile("yield");
#endif
}

constexpr int kSpins = 2000;  // then the processor is offered to whoever else wants it

void spin(int& spins) {
  if (++spins < kSpins)
    relax();
  else
    std::this_thread::yield();
}

}  // namespace

Pool::Pool(int threads) {
  for (int part = 1; part < threads; ++part) workers_.emplace_back(&Pool::work, this, part);
}

Pool::~Pool() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void Pool::open() {
  if (workers_.empty()) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    open_ = true;
  }
  wake_.notify_all();
}

void Pool::close() { open_ = false; }

void Pool::start(Call call, const void* job) {
  call_ = call;
  job_ = job;
  running_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  jobs_.fetch_add(1, std::memory_order_release);
  call(job, 0, threads());
  for (int spins = 0; running_.load(std::memory_order_acquire) > 0;) spin(spins);
}

void Pool::work(int part) {
  for (unsigned done = 0;;) {
    for (int spins = 0; jobs_.load(std::memory_order_acquire) == done; spin(spins)) {
      if (open_) continue;
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [this] { return open_ || ended_; });
      if (ended_) return;
    }
    ++done;
    call_(job_, part, threads());
    running_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace rwkv
