// What the chunk kernels ask of a GPU: the threads of a block, their barrier, the tensor cores.
//
// The kernels are templates over `Block`, so the same code runs on a GPU and, thread by thread, in
// the tests on a processor.
#pragma once

#include <cmath>

#include "shape.h"

#ifdef __CUDACC__
#define WKV7_DEVICE __device__ __forceinline__
#define WKV7_UNROLL _Pragma("unroll")
#else
#define WKV7_DEVICE inline
#define WKV7_UNROLL
#endif

namespace wkv7 {

#ifdef __CUDACC__
struct CudaBlock {
  WKV7_DEVICE int thread() const { return int(threadIdx.x); }
  WKV7_DEVICE void sync() const { __syncthreads(); }

  // C[16, 8] += A[16, 8] B[8, 8] by a warp; TF32 in (the upper 19 bits of a float32), float32 out.
  WKV7_DEVICE void mma(float (&c)[4], const std::uint32_t (&a)[4],
                       const std::uint32_t (&b)[2]) const {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
};
#endif

template <bool kExact>
WKV7_DEVICE float exponential(float x) {
#ifdef __CUDACC__
  return kExact ? expf(x) : __expf(x);
#else
  return std::exp(x);
#endif
}

// To a TF32 near it. The tensor cores cut off the 13 bits below, so x first grows by 0.36 (where its
// mantissa is 1) to 0.72 (where it is nearly 2) of a TF32's last place: no bias on the average, an
// error 1.06 times that of rounding, and what a TF32 holds exactly stays as it is. Adding half a
// place to the bits would round, but turn a GPU's own NaN, 0x7fffffff, into -0.
WKV7_DEVICE std::uint32_t tf32(float x) { return float_to_bits(x * (1 + 0.36f / 1024)); }
WKV7_DEVICE float upper(float x) { return bits_to_float(float_to_bits(x) & 0xffffe000); }

// C[16, 8 kTiles] += A[16, K] B[K, 8 kTiles] by a warp: a(row, k) and b(k, column) give the
// numbers. Of every tile a lane holds four: see `each`. kExact: every number as the sum of two
// TF32, three products of the four, nearly float32.
template <int K, bool kExact, int kTiles, class Block, class A, class B>
WKV7_DEVICE void multiply(const Block& block, float (&c)[kTiles][4], A a, B b) {
  const int lane = block.thread() % 32, group = lane / 4, in_group = lane % 4;
  WKV7_UNROLL
  for (int k0 = 0; k0 < K; k0 += 8) {
    const int k = k0 + in_group;
    const float as[4] = {a(group, k), a(group + 8, k), a(group, k + 4), a(group + 8, k + 4)};
    std::uint32_t a_high[4], a_low[4];
    WKV7_UNROLL
    for (int i = 0; i < 4; ++i) {
      a_high[i] = kExact ? float_to_bits(upper(as[i])) : tf32(as[i]);
      a_low[i] = kExact ? tf32(as[i] - upper(as[i])) : 0;
    }
    WKV7_UNROLL
    for (int n = 0; n < kTiles; ++n) {
      const float bs[2] = {b(k, 8 * n + group), b(k + 4, 8 * n + group)};
      if (kExact) {
        const std::uint32_t b_high[2] = {float_to_bits(upper(bs[0])), float_to_bits(upper(bs[1]))};
        const std::uint32_t b_low[2] = {tf32(bs[0] - upper(bs[0])), tf32(bs[1] - upper(bs[1]))};
        block.mma(c[n], a_low, b_high);
        block.mma(c[n], a_high, b_low);
        block.mma(c[n], a_high, b_high);
      } else {
        const std::uint32_t b_high[2] = {tf32(bs[0]), tf32(bs[1])};
        block.mma(c[n], a_high, b_high);
      }
    }
  }
}

// visit(row, column, number) for what this lane holds of C[16, 8 kTiles].
template <int kTiles, class Block, class Visit>
WKV7_DEVICE void each(const Block& block, float (&c)[kTiles][4], Visit visit) {
  const int lane = block.thread() % 32, group = lane / 4, in_group = lane % 4;
  WKV7_UNROLL
  for (int n = 0; n < kTiles; ++n)
    WKV7_UNROLL
    for (int e = 0; e < 4; ++e)
      visit(group + 8 * (e / 2), 8 * n + 2 * in_group + e % 2, c[n][e]);
}

template <int kTiles>
WKV7_DEVICE void clear(float (&c)[kTiles][4]) {
  WKV7_UNROLL
  for (int n = 0; n < kTiles; ++n)
    WKV7_UNROLL
    for (int e = 0; e < 4; ++e) c[n][e] = 0;
}

}  // namespace wkv7
