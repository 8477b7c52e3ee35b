// Elementary functions and norms on sixteen lanes, good to a few units of float32's last place.
#pragma once

#include <cmath>

namespace rwkv {

template <class S>
typename S::F exp(typename S::F x) {
  x = S::min(S::max(x, S::set(-87.0f)), S::set(88.0f));
  const typename S::F n = S::round(S::mul(x, S::set(1.44269504f)));
  // x - n ln 2, in two parts: the first is exact in float32 for every n that can come.
  typename S::F r = S::fma(n, S::set(-0.693359375f), x);
  r = S::fma(n, S::set(2.12194440e-4f), r);
  typename S::F y = S::set(1.0f / 720);
  for (const float factor : {1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
    y = S::fma(y, r, S::set(factor));
  return S::scale2(y, n);
}

template <class S>
typename S::F sigmoid(typename S::F x) {
  const typename S::F one = S::set(1);
  return S::div(one, S::add(one, exp<S>(S::sub(S::zero(), x))));
}

template <class S>
typename S::F tanh(typename S::F x) {
  const typename S::F one = S::set(1);
  return S::sub(one, S::div(S::set(2), S::add(one, exp<S>(S::add(x, x)))));
}

// To mean 0 and variance 1, times weight, plus bias. `count` is a multiple of 64; y may be x.
template <class S>
void normalise(const float* x, int count, float eps, const float* weight, const float* bias,
               float* y) {
  using F = typename S::F;
  const auto total = [&](auto term) {
    F part[4] = {S::zero(), S::zero(), S::zero(), S::zero()};
    for (int i = 0; i < count; i += 64)
      for (int j = 0; j < 4; ++j) part[j] = term(part[j], S::load(x + i + 16 * j));
    return S::sum(S::add(S::add(part[0], part[1]), S::add(part[2], part[3])));
  };
  const float mean = total([](F sum, F v) { return S::add(sum, v); }) / count;
  const float variance = total([=](F sum, F v) {
                           const F d = S::sub(v, S::set(mean));
                           return S::fma(d, d, sum);
                         }) /
                         count;
  const F scale = S::set(1 / std::sqrt(variance + eps));
  for (int i = 0; i < count; i += 16) {
    const F normal = S::mul(S::sub(S::load(x + i), S::set(mean)), scale);
    S::store(y + i, S::fma(normal, S::load(weight + i), S::load(bias + i)));
  }
}

}  // namespace rwkv
