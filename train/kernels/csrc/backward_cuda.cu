// Launches the backward, and the sum over blocks where a head is cut into several.
#include <cuda_runtime.h>

#include "backward_chunks.h"
#include "cuda.h"

namespace wkv7 {
namespace {

template <int kRows, class T>
__global__ __launch_bounds__(kThreads, 2) void backward_kernel(Shape shape, Backward<T> call,
                                                            float* partial) {
  extern __shared__ __align__(16) unsigned char bytes[];
  backward_chunks<kRows>(CudaBlock{}, shape, call, partial, blockIdx.z, blockIdx.y, blockIdx.x,
                         *reinterpret_cast<BackwardShared<kRows>*>(bytes));
}

template <class T>
__global__ void sum_kernel(Shape shape, Backward<T> call, const float* partial, int slices) {
  const std::int64_t count = std::int64_t(shape.batch) * shape.steps * shape.stride();
  const std::int64_t at = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at < count) sum_partial(shape, call, partial, slices, at);
}

template <int kRows, class T>
cudaError_t launch(const Shape& shape, const Backward<T>& call, float* partial,
                   cudaStream_t stream) {
  constexpr int kBytes = sizeof(BackwardShared<kRows>), kSlices = kSize / kRows;
  const cudaError_t error = cudaFuncSetAttribute(
      backward_kernel<kRows, T>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  if (error != cudaSuccess) return error;
  const dim3 blocks(kSlices, shape.heads, shape.batch);
  backward_kernel<kRows, T><<<blocks, kThreads, kBytes, stream>>>(shape, call, partial);
  if (kSlices > 1) {
    const std::int64_t count = std::int64_t(shape.batch) * shape.steps * shape.stride();
    sum_kernel<<<unsigned((count + 255) / 256), 256, 0, stream>>>(shape, call, partial, kSlices);
  }
  return cudaGetLastError();
}

}  // namespace

std::int64_t partial_size(const Shape& shape, int rows) {
  const int slices = kSize / rows;
  return slices > 1 ? std::int64_t(slices) * kSummed * shape.batch * shape.steps * shape.stride()
                    : 0;
}

template <class T>
const char* launch_backward(const Shape& shape, const Backward<T>& call, float* partial, int rows,
                            void* stream) {
  if (shape.batch == 0 || shape.heads == 0) return nullptr;
  const auto on = static_cast<cudaStream_t>(stream);
  const cudaError_t error =
      rows == 64 ? launch<64>(shape, call, partial, on) : launch<32>(shape, call, partial, on);
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

template const char* launch_backward(const Shape&, const Backward<float>&, float*, int, void*);
template const char* launch_backward(const Shape&, const Backward<bf16>&, float*, int, void*);

}  // namespace wkv7
