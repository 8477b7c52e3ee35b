// A queue from one thread to one other that never waits: a full one refuses.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>

namespace rwkv_music::jack {

template <typename T, std::size_t kPlaces>
class Ring {
  static_assert((kPlaces & (kPlaces - 1)) == 0, "a power of two");

 public:
  bool put(const T& value) {
    const std::size_t end = end_.load(std::memory_order_relaxed);
    if (end - begin_.load(std::memory_order_acquire) == kPlaces) return false;
    values_[end & (kPlaces - 1)] = value;
    end_.store(end + 1, std::memory_order_release);
    return true;
  }

  bool take(T& value) {
    const std::size_t begin = begin_.load(std::memory_order_relaxed);
    if (begin == end_.load(std::memory_order_acquire)) return false;
    value = values_[begin & (kPlaces - 1)];
    begin_.store(begin + 1, std::memory_order_release);
    return true;
  }

 private:
  std::array<T, kPlaces> values_;
  std::atomic<std::size_t> begin_{0}, end_{0};
};

}  // namespace rwkv_music::jack
