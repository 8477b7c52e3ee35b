#include "measure.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "cpu.h"

namespace rwkv {

namespace {

constexpr std::size_t kReadTogether = 128;  // values: see read.h
constexpr int kTrips = 5000;

}  // namespace

Memory::Memory(std::size_t bytes)
    : arena_(bytes),
      count_(bytes / sizeof(float) / kReadTogether * kReadTogether),
      values_(arena_.items<float>(count_)) {}

float Memory::read(std::size_t bytes, int threads) {
  if (!pool_ || pool_->threads() != threads) pool_.emplace(threads);
  const std::size_t count = std::min(count_, bytes / sizeof(float));
  std::vector<float> sums(threads);
  pool_->open();
  pool_->run([&](int part, int parts) {
    const std::size_t whole = count / kReadTogether;
    const std::size_t start = whole * part / parts, stop = whole * (part + 1) / parts;
    sums[part] = instruction_set("").read(values_ + start * kReadTogether,
                                          (stop - start) * kReadTogether, bytes > kCacheBytes);
  });
  pool_->close();
  float sum = 0;
  for (const float part : sums) sum += part;
  return sum;
}

double round_trip_ns() {
  struct alignas(128) Line {
    std::atomic<int> value{0};
  };
  Line there, back;
  std::thread other([&] {
    for (int i = 1; i <= kTrips; ++i) {
      while (there.value.load(std::memory_order_acquire) < i) continue;
      back.value.store(i, std::memory_order_release);
    }
  });
  std::vector<double> times;
  for (int i = 1; i <= kTrips; ++i) {
    const auto start = std::chrono::steady_clock::now();
    there.value.store(i, std::memory_order_release);
    while (back.value.load(std::memory_order_acquire) < i) continue;
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
    times.push_back(taken.count());
  }
  other.join();
  std::nth_element(times.begin(), times.begin() + kTrips / 2, times.end());
  return times[kTrips / 2];
}

}  // namespace rwkv
