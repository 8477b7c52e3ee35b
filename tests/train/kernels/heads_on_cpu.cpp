// The processor's kernels without torch, to be compiled for another instruction set than this one's.
#include "cpu.h"
#include "lanes.h"

using namespace wkv7;

extern "C" {

int lanes() { return kLanes; }

void forward_float32(Shape shape, Forward<float> call) {
  forward_heads(shape, call, 0, shape.batch * shape.heads);
}
void forward_bfloat16(Shape shape, Forward<bf16> call) {
  forward_heads(shape, call, 0, shape.batch * shape.heads);
}
void backward_float32(Shape shape, Backward<float> call) {
  backward_heads(shape, call, 0, shape.batch * shape.heads);
}
void backward_bfloat16(Shape shape, Backward<bf16> call) {
  backward_heads(shape, call, 0, shape.batch * shape.heads);
}
}
