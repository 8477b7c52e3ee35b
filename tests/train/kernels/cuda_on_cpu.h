// A block of a GPU's threads on a processor: every thread is a coroutine that runs until it waits
// for others, at a barrier or for its warp's matrix product. The order in which threads run is
// drawn anew at every turn, so that a barrier that is missing shows.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "device.h"

class BlockOnCpu {
 public:
  BlockOnCpu(int threads, unsigned seed)
      : threads_(threads), order_(threads), random_(seed), fibers_(threads), warps_(threads / 32) {
    std::iota(order_.begin(), order_.end(), 0);
  }

  // body(*this) in every thread, to the end of all.
  void run(const std::function<void(BlockOnCpu&)>& body) {
    body_ = &body;
    for (int t = 0; t < threads_; ++t) {
      Fiber& fiber = fibers_[t];
      fiber.stack.reset(new char[kStack]);
      getcontext(&fiber.context);
      fiber.context.uc_stack.ss_sp = fiber.stack.get();
      fiber.context.uc_stack.ss_size = kStack;
      fiber.context.uc_link = &scheduler_;
      const auto self = reinterpret_cast<std::uintptr_t>(this);
      makecontext(&fiber.context, reinterpret_cast<void (*)()>(&BlockOnCpu::enter), 2,
                  unsigned(self >> 32), unsigned(self));
    }
    for (running_ = threads_; running_ > 0;) {
      std::shuffle(order_.begin(), order_.end(), random_);
      const std::uint64_t before = progress_;
      for (int t : order_)
        if (!fibers_[t].done) {
          current_ = t;
          swapcontext(&scheduler_, &fibers_[t].context);
        }
      if (progress_ == before) {
        std::fprintf(stderr, "threads wait for each other: a barrier that some do not reach\n");
        std::abort();
      }
    }
  }

  int thread() const { return current_; }

  void sync() const { const_cast<BlockOnCpu*>(this)->meet(barrier_, threads_); }

  // As PTX ISA, "Matrix Fragments for mma.m16n8k8", lays the numbers out for .tf32: lane = 4 group
  // + in_group holds A(group, in_group), A(group + 8, ...), and both with column + 4; B(in_group,
  // group) and B(in_group + 4, group); C(group, 2 in_group + {0, 1}) and the same of group + 8.
  void mma(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) const {
    const int lane = current_ % 32;
    Warp& warp = warps_[current_ / 32];
    Operands& shared = warp.operands[fibers_[current_].products++ % 2];
    const int row = lane / 4, column = lane % 4;
    shared.a[row][column] = truncated(a[0]);
    shared.a[row + 8][column] = truncated(a[1]);
    shared.a[row][column + 4] = truncated(a[2]);
    shared.a[row + 8][column + 4] = truncated(a[3]);
    shared.b[column][row] = truncated(b[0]);
    shared.b[column + 4][row] = truncated(b[1]);
    const_cast<BlockOnCpu*>(this)->meet(warp.rendezvous, 32);
    for (int e = 0; e < 4; ++e) {
      const int m = row + e / 2 * 8, n = 2 * column + e % 2;
      for (int k = 0; k < 8; ++k) c[e] += shared.a[m][k] * shared.b[k][n];
    }
  }

 private:
  static constexpr std::size_t kStack = 256 << 10;

  struct Meeting {
    int arrived = 0;
    std::uint64_t number = 0;
  };
  struct Operands {
    float a[16][8], b[8][8];
  };
  struct Warp {
    Meeting rendezvous;
    Operands operands[2];  // in turns: nobody is two products ahead
  };
  struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    bool done = false;
    unsigned products = 0;
  };

  static float truncated(std::uint32_t bits) { return wkv7::bits_to_float(bits & 0xffffe000); }

  static void enter(unsigned high, unsigned low) {
    auto* self = reinterpret_cast<BlockOnCpu*>((std::uintptr_t(high) << 32) | low);
    const int me = self->current_;
    (*self->body_)(*self);
    self->fibers_[me].done = true;
    --self->running_;
    ++self->progress_;
  }

  void meet(Meeting& meeting, int count) {
    const std::uint64_t number = meeting.number;
    ++progress_;
    if (++meeting.arrived == count) {
      meeting.arrived = 0;
      ++meeting.number;
      return;
    }
    while (meeting.number == number) swapcontext(&fibers_[current_].context, &scheduler_);
  }

  const int threads_;
  std::vector<int> order_;
  std::mt19937 random_;
  mutable std::vector<Fiber> fibers_;
  mutable std::vector<Warp> warps_;
  mutable Meeting barrier_;
  ucontext_t scheduler_;
  const std::function<void(BlockOnCpu&)>* body_ = nullptr;
  int current_ = 0, running_ = 0;
  std::uint64_t progress_ = 0;
};
