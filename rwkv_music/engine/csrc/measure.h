// For benchmarks: what this machine's memory and cores allow.
#pragma once

#include <cstddef>

#include "arena.h"
#include "pool.h"

namespace rwkv {

// As much memory as a token reads, in the pages that weights lie in, read by as many threads.
class Memory {
 public:
  Memory(std::size_t bytes, int threads);
  float read();  // all of it, and nothing else
  std::size_t bytes() const { return count_ * sizeof(float); }

 private:
  Arena arena_;
  std::size_t count_;
  const float* values_;
  Pool pool_;
};

// How long a line of the cache takes from one thread to another and back: nanoseconds, the median.
double round_trip_ns();

}  // namespace rwkv
