// The operator's implementation for GPUs: kernels into the current stream, which nothing waits for.
#include "binding.h"
#include "cuda.h"

namespace wkv7 {
namespace {

void* current_stream(std::int32_t device) {
  void* stream = nullptr;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(device, &stream));
  return stream;
}

int rows_for(const Inputs& in, std::int64_t wanted) {
  STD_TORCH_CHECK(wanted == 0 || wanted == 32 || wanted == 64,
                  "wkv7: rows: expected 0, 32 or 64");
  return wanted ? int(wanted) : rows_of_a_block(in.shape);
}

auto forward_cuda(const Tensor& r, const Tensor& log_w, const Tensor& k, const Tensor& v,
                  const Tensor& a, const Tensor& b, const Maybe& initial_state,
                  const Maybe& resets, bool keep, std::int64_t rows) {
  const torch::stable::accelerator::DeviceGuard guard(r.get_device_index());
  return forward(Inputs(r, log_w, k, v, a, b, resets), initial_state, keep,
                 [&](const Inputs& in, const auto& call) {
                   void* stream = current_stream(r.get_device_index());
                   const char* error =
                       launch_forward(in.shape, call, rows_for(in, rows), stream);
                   STD_TORCH_CHECK(!error, "wkv7: ", error);
                 });
}

auto backward_cuda(const Maybe& d_y, const Maybe& d_final_state, const Tensor& r,
                   const Tensor& log_w, const Tensor& k, const Tensor& v, const Tensor& a,
                   const Tensor& b, const Maybe& resets, const Tensor& states, const Tensor& u,
                   std::int64_t wanted) {
  const torch::stable::accelerator::DeviceGuard guard(r.get_device_index());
  return backward(Inputs(r, log_w, k, v, a, b, resets), d_y, d_final_state, states, u,
                  [&](const Inputs& in, const auto& call) {
                    const int rows = rows_for(in, wanted);
                    const Tensor partial = in.floats({partial_size(in.shape, rows)});
                    void* stream = current_stream(r.get_device_index());
                    const char* error =
                        launch_backward(in.shape, call, output<float>(partial), rows, stream);
                    STD_TORCH_CHECK(!error, "wkv7: ", error);
                  });
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(rwkv_music, CUDA, m) {
  m.impl("wkv7", TORCH_BOX(&forward_cuda));
  m.impl("wkv7_backward", TORCH_BOX(&backward_cuda));
}

}  // namespace wkv7
