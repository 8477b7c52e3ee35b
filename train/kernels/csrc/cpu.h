// The recurrence on a processor: heads are independent, so threads share them out.
#pragma once

#include "shape.h"

namespace wkv7 {

// Computes heads first .. last - 1 of the batch * heads of a call. T: float or bf16.
template <class T>
void forward_heads(const Shape& shape, const Forward<T>& call, int first, int last);

template <class T>
void backward_heads(const Shape& shape, const Backward<T>& call, int first, int last);

}  // namespace wkv7
