// The operator's implementation for processors: heads shared out over torch's own threads.
#include "binding.h"
#include "cpu.h"

namespace wkv7 {
namespace {

auto forward_cpu(const Tensor& r, const Tensor& log_w, const Tensor& k, const Tensor& v,
                 const Tensor& a, const Tensor& b, const Maybe& initial_state, const Maybe& resets,
                 bool keep, std::int64_t) {
  return forward(Inputs(r, log_w, k, v, a, b, resets), initial_state, keep,
                 [](const Inputs& in, const auto& call) {
                   const Shape& shape = in.shape;
                   torch::stable::parallel_for(0, shape.batch * shape.heads, 1,
                                               [&](std::int64_t first, std::int64_t last) {
                                                 forward_heads(shape, call, first, last);
                                               });
                 });
}

auto backward_cpu(const Maybe& d_y, const Maybe& d_final_state, const Tensor& r,
                  const Tensor& log_w, const Tensor& k, const Tensor& v, const Tensor& a,
                  const Tensor& b, const Maybe& resets, const Tensor& states, const Tensor& u,
                  std::int64_t) {
  return backward(Inputs(r, log_w, k, v, a, b, resets), d_y, d_final_state, states, u,
                  [](const Inputs& in, const auto& call) {
                    const Shape& shape = in.shape;
                    torch::stable::parallel_for(0, shape.batch * shape.heads, 1,
                                                [&](std::int64_t first, std::int64_t last) {
                                                  backward_heads(shape, call, first, last);
                                                });
                  });
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(rwkv_music, CPU, m) {
  m.impl("wkv7", TORCH_BOX(&forward_cpu));
  m.impl("wkv7_backward", TORCH_BOX(&backward_cpu));
}

}  // namespace wkv7
