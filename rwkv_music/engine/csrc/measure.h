// For benchmarks: what this machine's memory and cores allow.
#pragma once

#include <cstddef>
#include <optional>

#include "arena.h"
#include "pool.h"

namespace rwkv {

// Memory in the pages that weights lie in, of which as much as a token reads is read, by as many
// threads.
class Memory {
 public:
  explicit Memory(std::size_t bytes);
  float read(std::size_t bytes, int threads);  // its first ones, and nothing else
  std::size_t bytes() const { return count_ * sizeof(float); }

 private:
  Arena arena_;
  std::size_t count_;
  const float* values_;
  std::optional<Pool> pool_;
};

// How long a line of the cache takes from one thread to another and back: nanoseconds, the median.
double round_trip_ns();

}  // namespace rwkv
