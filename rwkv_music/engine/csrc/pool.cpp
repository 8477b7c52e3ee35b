#include "pool.h"

#include <chrono>
#include <system_error>

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
constexpr auto kLinger = std::chrono::microseconds(200);  // waking takes a good part of a step
constexpr int kSpinsBetweenLooks = 64;                    // at the clock

void spin(int& spins) {
  if (++spins < kSpins)
    relax();
  else
    std::this_thread::yield();
}

}  // namespace

Pool::Pool(int threads) {
  workers_.reserve(threads);
  try {
    for (int part = 1; part < threads; ++part) workers_.emplace_back(&Pool::work, this);
  } catch (const std::system_error&) {
    // The system gives no more: those that are there do it all.
  }
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
  next_.store(0, std::memory_order_relaxed);
  helpers_.store(0, std::memory_order_release);
  jobs_.fetch_add(1, std::memory_order_release);
  do_parts();
  int nobody_left = 0;
  for (int spins = 0; !helpers_.compare_exchange_weak(nobody_left, kNobody,
                                                      std::memory_order_acquire,
                                                      std::memory_order_relaxed);
       nobody_left = 0)
    spin(spins);
}

void Pool::do_parts() {
  const int parts = threads();
  for (int part; (part = next_.fetch_add(1, std::memory_order_relaxed)) < parts;)
    call_(job_, part, parts);
}

void Pool::help() {
  int helpers = helpers_.load(std::memory_order_relaxed);
  do {
    if (helpers == kNobody) return;  // it is done already
  } while (!helpers_.compare_exchange_weak(helpers, helpers + 1, std::memory_order_acquire,
                                           std::memory_order_relaxed));
  do_parts();
  helpers_.fetch_sub(1, std::memory_order_release);
}

void Pool::work() {
  using Clock = std::chrono::steady_clock;
  for (unsigned done = 0;;) {
    const Clock::time_point ended = Clock::now();
    for (int spins = 0; jobs_.load(std::memory_order_acquire) == done; spin(spins)) {
      if (open_ || spins % kSpinsBetweenLooks != 0 || Clock::now() - ended < kLinger) continue;
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [this] { return open_ || ended_; });
      if (ended_) return;
    }
    done = jobs_.load(std::memory_order_acquire);
    help();
  }
}

}  // namespace rwkv
