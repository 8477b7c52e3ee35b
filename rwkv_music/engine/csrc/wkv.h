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

// Sums of sixteen rows' products with a vector [64].
template <class S>
typename S::F row_products(const float* rows, const typename S::F (&vector)[kHeadSize / 16]) {
  typename S::F parts[16];
  for (int i = 0; i < 16; ++i) {
    parts[i] = S::mul(S::load(rows + i * kHeadSize), vector[0]);
    for (int j = 1; j < kHeadSize / 16; ++j)
      parts[i] = S::fma(S::load(rows + i * kHeadSize + 16 * j), vector[j], parts[i]);
  }
  return S::sums(parts);
}

// States are rarely in the nearest cache: rows are asked for so far ahead.
constexpr int kFetchedRows = 16;

template <class S>
void wkv_step(float* state, const HeadStep& head) {
  using F = typename S::F;
  constexpr int N = kHeadSize, kParts = N / 16;
  F kk[kParts], wr[kParts];
  F kka_r = S::zero(), k_r = S::zero();
  for (int j = 0; j < kParts; ++j) {
    const F r = S::load(head.r + 16 * j);
    kk[j] = S::load(head.kk + 16 * j);
    wr[j] = S::mul(S::load(head.w + 16 * j), r);
    kka_r = S::fma(S::load(head.kka + 16 * j), r, kka_r);
    k_r = S::fma(S::load(head.k + 16 * j), r, k_r);
  }
  const F read_of_removed = S::set(S::sum(kka_r)), read_of_added = S::set(S::sum(k_r));

  F w[kParts], kka[kParts], k[kParts];
  for (int j = 0; j < kParts; ++j) {
    w[j] = S::load(head.w + 16 * j);
    kka[j] = S::load(head.kka + 16 * j);
    k[j] = S::load(head.k + 16 * j);
  }
  for (int i = 0; i < N; i += 16) {
    float* rows = state + i * N;
    const F minus_removed = S::sub(S::zero(), row_products<S>(rows, kk));
    const F kept = S::fma(minus_removed, read_of_removed, row_products<S>(rows, wr));
    S::store(head.y + i, S::fma(S::load(head.v + i), read_of_added, kept));
    alignas(64) float removed[16];
    S::store(removed, minus_removed);
    for (int b = 0; b < 16; ++b) {
      for (int j = 0; j < kParts; ++j)
        S::prefetch(reinterpret_cast<const std::byte*>(rows + (b + kFetchedRows) * N + 16 * j));
      const F from = S::set(removed[b]), v = S::set(head.v[i + b]);
      for (int j = 0; j < kParts; ++j) {
        float* s = rows + b * N + 16 * j;
        S::store(s, S::fma(v, k[j], S::fma(from, kka[j], S::mul(S::load(s), w[j]))));
      }
    }
  }
}

}  // namespace rwkv
