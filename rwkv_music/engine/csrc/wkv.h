// The recurrence of one head: S = S diag(w) - (S kk) (kk a)^T + v k^T, then y = S r.
//
// S[value i, key j] float32. Decay unit: the factor w itself, in (0.545, 1). Both products with S
// are taken of the S before the step, y by way of S' r = S (w r) - (S kk) (kk a . r) + v (k . r): so
// that one pass reads S for both and the next one moves it.
#pragma once

#include "packed.h"

namespace rwkv {

// One token's vectors of one head, [64] each.
struct HeadStep {
  const float *r, *w, *k, *v, *kk, *kka;
  float* y;
};

template <class S>
void wkv_step(float* state, const HeadStep& head) {
  using F = typename S::F;
  constexpr int N = kHeadSize, kParts = N / 16, kBlock = 8;
  F kk[kParts], wr[kParts];
  F kka_r = S::zero(), k_r = S::zero();
  for (int j = 0; j < kParts; ++j) {
    const F r = S::load(head.r + 16 * j);
    kk[j] = S::load(head.kk + 16 * j);
    wr[j] = S::mul(S::load(head.w + 16 * j), r);
    kka_r = S::fma(S::load(head.kka + 16 * j), r, kka_r);
    k_r = S::fma(S::load(head.k + 16 * j), r, k_r);
  }
  const float read_of_removed = S::sum(kka_r), read_of_added = S::sum(k_r);

  for (int i = 0; i < N; i += kBlock) {
    float* rows = state + i * N;
    F parts[2 * kBlock];  // products with kk, then products with w r
    for (int b = 0; b < kBlock; ++b) {
      parts[b] = parts[kBlock + b] = S::zero();
      for (int j = 0; j < kParts; ++j) {
        const F s = S::load(rows + b * N + 16 * j);
        parts[b] = S::fma(s, kk[j], parts[b]);
        parts[kBlock + b] = S::fma(s, wr[j], parts[kBlock + b]);
      }
    }
    float products[2 * kBlock];
    S::store(products, S::sums(parts));
    for (int b = 0; b < kBlock; ++b) {
      const float v = head.v[i + b], removed = products[b];
      head.y[i + b] = products[kBlock + b] - removed * read_of_removed + v * read_of_added;
      const F minus_removed = S::set(-removed), added = S::set(v);
      for (int j = 0; j < kParts; ++j) {
        F s = S::mul(S::load(rows + b * N + 16 * j), S::load(head.w + 16 * j));
        s = S::fma(minus_removed, S::load(head.kka + 16 * j), s);
        S::store(rows + b * N + 16 * j, S::fma(added, S::load(head.k + 16 * j), s));
      }
    }
  }
}

}  // namespace rwkv
