// Launches the forward, and says how a call is cut into blocks.
#include <cuda_runtime.h>

#include "cuda.h"
#include "forward_chunks.h"

namespace wkv7 {
namespace {

// Three blocks of all 64 rows in bfloat16 fit into a multiprocessor; the others need registers more.
template <int kRows, class T>
__global__ __launch_bounds__(kThreads, kRows == kSize && sizeof(T) == 2 ? 3 : 2) void
forward_kernel(Shape shape, Forward<T> call) {
  extern __shared__ __align__(16) unsigned char bytes[];
  forward_chunks<kRows>(CudaBlock{}, shape, call, blockIdx.z, blockIdx.y, blockIdx.x,
                        *reinterpret_cast<ForwardShared<kRows>*>(bytes));
}

template <int kRows, class T>
cudaError_t launch(const Shape& shape, const Forward<T>& call, cudaStream_t stream) {
  constexpr int kBytes = sizeof(ForwardShared<kRows>);
  const cudaError_t error = cudaFuncSetAttribute(
      forward_kernel<kRows, T>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  if (error != cudaSuccess) return error;
  const dim3 blocks(kSize / kRows, shape.heads, shape.batch);
  forward_kernel<kRows, T><<<blocks, kThreads, kBytes, stream>>>(shape, call);
  return cudaGetLastError();
}

}  // namespace

int rows_of_a_block(const Shape& shape) {
  int device = 0, processors = 1;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
  return shape.batch * shape.heads >= processors ? 64 : 32;
}

template <class T>
const char* launch_forward(const Shape& shape, const Forward<T>& call, int rows, void* stream) {
  if (shape.batch == 0 || shape.heads == 0) return nullptr;
  const auto on = static_cast<cudaStream_t>(stream);
  const cudaError_t error =
      rows == 64 ? launch<64>(shape, call, on) : launch<32>(shape, call, on);
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

template const char* launch_forward(const Shape&, const Forward<float>&, int, void*);
template const char* launch_forward(const Shape&, const Forward<bf16>&, int, void*);

}  // namespace wkv7
