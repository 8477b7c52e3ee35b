// Reading memory and nothing else: what the speed of a pass is measured against.
#pragma once

#include <cstddef>

#include "gemm.h"

namespace rwkv {

template <class S, bool prefetches>
float read_all(const float* values, std::size_t count) {
  typename S::F part[8];
  for (auto& sum : part) sum = S::zero();
  for (std::size_t i = 0; i < count; i += 128)
    for (int j = 0; j < 8; ++j) {
      const float* line = values + i + 16 * j;
      if constexpr (prefetches)
        S::prefetch(reinterpret_cast<const std::byte*>(line) + kPrefetchBytes);
      part[j] = S::add(part[j], S::load(line));
    }
  for (int j = 1; j < 8; ++j) part[0] = S::add(part[0], part[j]);
  return S::sum(part[0]);
}

// The sum of `count` values, a multiple of 128, read once from the first to the last, as a pass
// reads weights.
template <class S>
float read(const float* values, std::size_t count, bool from_memory) {
  return from_memory ? read_all<S, S::kPrefetches>(values, count)
                     : read_all<S, false>(values, count);
}

}  // namespace rwkv
