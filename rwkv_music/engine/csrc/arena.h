// Memory in large, aligned blocks that live as long as the arena: weights lie in the order of use.
#pragma once

#include <cstddef>
#include <vector>

namespace rwkv {

class Arena {
 public:
  explicit Arena(std::size_t block_bytes) : block_bytes_(block_bytes) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Zeroed, aligned to 64 bytes. Throws std::bad_alloc.
  void* take(std::size_t bytes);

  template <class Item>
  Item* items(std::size_t count) {
    return static_cast<Item*>(take(count * sizeof(Item)));
  }
  std::size_t bytes() const { return taken_; }

 private:
  struct Block {
    void* data;
    std::size_t bytes;
  };
  std::vector<Block> blocks_;
  std::size_t block_bytes_, used_ = 0, taken_ = 0;
};

}  // namespace rwkv
