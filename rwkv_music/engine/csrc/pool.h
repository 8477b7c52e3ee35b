// Threads that do one job in parts: the caller's and those that come to help.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace rwkv {

// One job at a time. Whoever is there does the next part, so a thread that the system lets wait is
// not waited for, unless it is in the middle of one. Between `open` and `close` the threads spin, so
// that they come within a cache line's round trip, and for a moment more, as the next token rarely
// lets them wait for long; then they sleep.
class Pool {
 public:
  explicit Pool(int threads);  // fewer where the system gives no more
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  void open();
  void close();

  // Calls job(part, parts) once for each part, and returns when all have ended.
  template <class Job>
  void run(const Job& job) {
    if (workers_.empty())
      job(0, 1);
    else
      start([](const void* j, int part, int parts) { (*static_cast<const Job*>(j))(part, parts); },
            &job);
  }

 private:
  using Call = void (*)(const void*, int, int);
  static constexpr int kNobody = -1;

  void start(Call call, const void* job);
  void do_parts();
  void help();
  void work();

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<bool> open_{false}, ended_{false};
  alignas(64) std::atomic<unsigned> jobs_{0};
  alignas(64) std::atomic<int> helpers_{kNobody};  // at the job; kNobody: none may come any more
  alignas(64) std::atomic<int> next_{0};           // part that nobody has begun
  Call call_ = nullptr;
  const void* job_ = nullptr;
};

}  // namespace rwkv
