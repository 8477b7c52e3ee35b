// From torch's tensors to the kernels' pointers, for every device. Uses torch's stable ABI alone, so
// that it compiles in seconds and against any torch of 2.10 or newer, with or without CUDA.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <initializer_list>
#include <optional>
#include <tuple>

#include "shape.h"

namespace wkv7 {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using Maybe = std::optional<Tensor>;

inline Tensor dense(const Tensor& x) {
  return x.is_contiguous() ? x : torch::stable::contiguous(x);
}

inline Maybe dense(const Maybe& x) { return x ? Maybe(dense(*x)) : Maybe(); }

template <class T>
const T* pointer(const Tensor& x) {
  return static_cast<const T*>(x.const_data_ptr());
}

template <class T>
const T* pointer(const Maybe& x) {
  return x ? pointer<T>(*x) : nullptr;
}

template <class T>
T* output(const Tensor& x) {
  return static_cast<T*>(x.mutable_data_ptr());
}

inline void check(const Tensor& x, const char* name, ScalarType dtype,
                  std::initializer_list<std::int64_t> sizes) {
  bool fits = x.scalar_type() == dtype && x.dim() == std::int64_t(sizes.size());
  int d = 0;
  for (std::int64_t size : sizes) fits = fits && x.size(d++) == size;
  STD_TORCH_CHECK(fits, "wkv7: ", name, " has the wrong dtype or shape");
}

inline Shape shape_of(const Tensor& r) {
  STD_TORCH_CHECK(r.dim() == 4 && r.size(3) == kSize, "wkv7: r: expected [B, T, H, 64]");
  STD_TORCH_CHECK(r.size(1) >= 1 && r.size(1) < (1 << 30), "wkv7: r: expected 1 to 2^30 steps");
  return {int(r.size(0)), int(r.size(1)), int(r.size(2))};
}

// run(T{}) with the C++ type of a tensor's numbers.
template <class Run>
void by_dtype(const Tensor& like, Run run) {
  if (like.scalar_type() == ScalarType::Float)
    run(float{});
  else if (like.scalar_type() == ScalarType::BFloat16)
    run(bf16{});
  else
    STD_TORCH_CHECK(false, "wkv7: expected float32 or bfloat16");
}

// The six inputs and the resets, checked and contiguous.
struct Inputs {
  Tensor r, log_w, k, v, a, b;
  Maybe resets;
  Shape shape;

  Inputs(const Tensor& r, const Tensor& log_w, const Tensor& k, const Tensor& v, const Tensor& a,
         const Tensor& b, const Maybe& resets)
      : r(dense(r)), log_w(dense(log_w)), k(dense(k)), v(dense(v)), a(dense(a)), b(dense(b)),
        resets(dense(resets)), shape(shape_of(r)) {
    const ScalarType dtype = r.scalar_type();
    const char* names[] = {"log_w", "k", "v", "a", "b"};
    int n = 0;
    for (const Tensor* x : {&log_w, &k, &v, &a, &b})
      check(*x, names[n++], dtype, {shape.batch, shape.steps, shape.heads, kSize});
    if (resets) check(*resets, "resets", ScalarType::Bool, {shape.batch, shape.steps});
  }

  Tensor like_input() const { return torch::stable::empty_like(r); }
  Tensor floats(std::initializer_list<std::int64_t> sizes) const {
    return torch::stable::new_empty(r, sizes, ScalarType::Float);
  }
  Tensor state() const { return floats({shape.batch, shape.heads, kSize, kSize}); }
  void check_state(const Maybe& x, const char* name) const {
    if (x) check(*x, name, ScalarType::Float, {shape.batch, shape.heads, kSize, kSize});
  }
};

// y, the final state, and what the backward needs: the kept states and u, both empty without
// `keep`. launch(inputs, Forward<T>) does the work.
template <class Launch>
std::tuple<Tensor, Tensor, Tensor, Tensor> forward(const Inputs& in, const Maybe& initial_state,
                                                   bool keep, Launch launch) {
  in.check_state(initial_state, "initial_state");
  const Shape& s = in.shape;
  const Tensor y = in.like_input(), final_state = in.state();
  const Tensor states =
      keep ? in.floats({s.batch, s.heads, s.segments(), kSize, kSize}) : in.floats({0});
  const Tensor u = keep ? in.floats({s.batch, s.steps, s.heads, kSize}) : in.floats({0});
  const Maybe start = dense(initial_state);
  by_dtype(in.r, [&](auto zero) {
    using T = decltype(zero);
    launch(in, Forward<T>{pointer<T>(in.r), pointer<T>(in.log_w), pointer<T>(in.k),
                          pointer<T>(in.v), pointer<T>(in.a), pointer<T>(in.b),
                          pointer<float>(start), pointer<bool>(in.resets), output<T>(y),
                          output<float>(final_state), keep ? output<float>(states) : nullptr,
                          keep ? output<float>(u) : nullptr});
  });
  return {y, final_state, states, u};
}

// The gradients of r, log_w, k, v, a, b and the initial state.
template <class Launch>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> backward(
    const Inputs& in, const Maybe& d_y, const Maybe& d_final_state, const Tensor& states,
    const Tensor& u, Launch launch) {
  const Shape& s = in.shape;
  in.check_state(d_final_state, "the gradient of the final state");
  if (d_y)
    check(*d_y, "the gradient of y", in.r.scalar_type(), {s.batch, s.steps, s.heads, kSize});
  check(states, "states", ScalarType::Float, {s.batch, s.heads, s.segments(), kSize, kSize});
  check(u, "u", ScalarType::Float, {s.batch, s.steps, s.heads, kSize});
  const Maybe y_gradient = dense(d_y), state_gradient = dense(d_final_state);
  const Tensor kept_states = dense(states), kept_u = dense(u);
  const Tensor d_r = in.like_input(), d_log_w = in.like_input(), d_k = in.like_input(),
               d_v = in.like_input(), d_a = in.like_input(), d_b = in.like_input(),
               d_initial = in.state();
  by_dtype(in.r, [&](auto zero) {
    using T = decltype(zero);
    launch(in, Backward<T>{pointer<T>(in.r), pointer<T>(in.log_w), pointer<T>(in.k),
                           pointer<T>(in.v), pointer<T>(in.a), pointer<T>(in.b),
                           pointer<bool>(in.resets), pointer<float>(kept_states),
                           pointer<float>(kept_u), pointer<T>(y_gradient),
                           pointer<float>(state_gradient), output<T>(d_r), output<T>(d_log_w),
                           output<T>(d_k), output<T>(d_v), output<T>(d_a), output<T>(d_b),
                           output<float>(d_initial)});
  });
  return {d_r, d_log_w, d_k, d_v, d_a, d_b, d_initial};
}

}  // namespace wkv7
