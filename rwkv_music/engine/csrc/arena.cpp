#include "arena.h"

#include <cstdlib>
#include <cstring>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace rwkv {

namespace {

constexpr std::size_t kLine = 64, kHugePage = std::size_t{2} << 20;

void* allocate(std::size_t bytes) {
#ifdef _WIN32
  void* data = _aligned_malloc(bytes, kLine);
#else
  void* data = nullptr;
  if (posix_memalign(&data, bytes < kHugePage ? kLine : kHugePage, bytes) != 0) data = nullptr;
#endif
  if (data == nullptr) throw std::bad_alloc();
#ifdef __linux__
  if (bytes >= kHugePage) madvise(data, bytes, MADV_HUGEPAGE);  // a hint: it may fail
#endif
  std::memset(data, 0, bytes);
  return data;
}

void release(void* data) {
#ifdef _WIN32
  _aligned_free(data);
#else
  std::free(data);
#endif
}

}  // namespace

Arena::~Arena() {
  for (const Block& block : blocks_) release(block.data);
}

void* Arena::take(std::size_t bytes) {
  bytes = (bytes + kLine - 1) / kLine * kLine;
  if (blocks_.empty() || used_ + bytes > blocks_.back().bytes) {
    const std::size_t size = bytes > block_bytes_ ? bytes : block_bytes_;
    blocks_.reserve(blocks_.size() + 1);
    blocks_.push_back({allocate(size), size});
    used_ = 0;
  }
  std::byte* data = static_cast<std::byte*>(blocks_.back().data) + used_;
  used_ += bytes;
  taken_ += bytes;
  return data;
}

}  // namespace rwkv
