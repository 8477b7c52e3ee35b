// The GPU's chunk kernels, block after block, on a processor: for tests without a GPU.
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "backward_chunks.h"
#include "cuda_on_cpu.h"
#include "forward_chunks.h"

using namespace wkv7;

namespace {

// Shared memory holds anything when a block begins: NaN here.
template <class Shared>
std::unique_ptr<Shared> poisoned() {
  std::unique_ptr<Shared> shared(new Shared);
  std::memset(static_cast<void*>(shared.get()), 0xff, sizeof(Shared));
  return shared;
}

template <int kRows, class T>
void forward_all(const Shape& shape, const Forward<T>& call, unsigned seed) {
  for (int b = 0; b < shape.batch; ++b)
    for (int h = 0; h < shape.heads; ++h)
      for (int slice = 0; slice < kSize / kRows; ++slice) {
        auto shared = poisoned<ForwardShared<kRows>>();
        BlockOnCpu block(kThreads, seed);
        block.run([&](BlockOnCpu& self) {
          forward_chunks<kRows>(self, shape, call, b, h, slice, *shared);
        });
      }
}

template <int kRows, class T>
void backward_all(const Shape& shape, const Backward<T>& call, unsigned seed) {
  const std::int64_t count = std::int64_t(shape.batch) * shape.steps * shape.stride();
  constexpr int kSlices = kSize / kRows;
  std::vector<float> partial(kSlices > 1 ? kSlices * kSummed * count : 1,
                             std::numeric_limits<float>::quiet_NaN());
  for (int b = 0; b < shape.batch; ++b)
    for (int h = 0; h < shape.heads; ++h)
      for (int slice = 0; slice < kSlices; ++slice) {
        auto shared = poisoned<BackwardShared<kRows>>();
        BlockOnCpu block(kThreads, seed);
        block.run([&](BlockOnCpu& self) {
          backward_chunks<kRows>(self, shape, call, partial.data(), b, h, slice, *shared);
        });
      }
  for (std::int64_t at = 0; kSlices > 1 && at < count; ++at)
    sum_partial(shape, call, partial.data(), kSlices, at);
}

template <class T>
void forward_rows(int rows, const Shape& shape, const Forward<T>& call, unsigned seed) {
  rows == 64 ? forward_all<64>(shape, call, seed) : forward_all<32>(shape, call, seed);
}

template <class T>
void backward_rows(int rows, const Shape& shape, const Backward<T>& call, unsigned seed) {
  rows == 64 ? backward_all<64>(shape, call, seed) : backward_all<32>(shape, call, seed);
}

}  // namespace

extern "C" {

void forward_float32(int rows, unsigned seed, Shape shape, Forward<float> call) {
  forward_rows(rows, shape, call, seed);
}
void forward_bfloat16(int rows, unsigned seed, Shape shape, Forward<bf16> call) {
  forward_rows(rows, shape, call, seed);
}
void backward_float32(int rows, unsigned seed, Shape shape, Backward<float> call) {
  backward_rows(rows, shape, call, seed);
}
void backward_bfloat16(int rows, unsigned seed, Shape shape, Backward<bf16> call) {
  backward_rows(rows, shape, call, seed);
}

// What a tensor core sees of a number that was made fit for it.
std::uint32_t seen_of(std::uint32_t bits) { return tf32(bits_to_float(bits)) & 0xffffe000; }
}
