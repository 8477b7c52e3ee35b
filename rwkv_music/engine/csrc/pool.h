// Threads that do one job in parts: the caller's and those that wait for it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace rwkv {

// One job at a time. Between `open` and `close` the threads spin, so that a job starts within a
// cache line's round trip; else they sleep.
class Pool {
 public:
  explicit Pool(int threads);
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
  void start(Call call, const void* job);
  void work(int part);

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<bool> open_{false}, ended_{false};
  alignas(64) std::atomic<unsigned> jobs_{0};
  alignas(64) std::atomic<int> running_{0};
  Call call_ = nullptr;
  const void* job_ = nullptr;
};

}  // namespace rwkv
