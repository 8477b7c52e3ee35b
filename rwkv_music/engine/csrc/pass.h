// What the parts of a forward pass share.
#pragma once

#include <cstddef>

#include "gemm.h"
#include "layer.h"
#include "pool.h"
#include "workspace.h"

namespace rwkv {

// Rows of one pass: tokens of one state, or one token for each of several states.
struct Rows {
  int count;
  const int* tokens;
  float* const* states;
  bool one_state;

  float* state(int row) const { return states[one_state ? 0 : row]; }
};

struct Pass {
  const Weights& weights;
  Workspace& space;
  Pool& pool;
  Rows rows;

  int width() const { return weights.width; }
  float* row(float* buffer, int r) const { return buffer + static_cast<std::size_t>(r) * width(); }
};

struct Product {
  const Matrix* matrix;
  const Input* input;
  float* y;
  int stride;
};

// Several products at once, shared out among the threads by bytes of weights. A strip belongs to
// one thread as a whole: so the numbers do not depend on how many there are.
template <class S, std::size_t count>
void multiply(const Pass& pass, int rows, const Product (&products)[count]) {
  const auto multiply_one =
      pass.weights.from_memory ? multiply_strip<S, S::kPrefetches> : multiply_strip<S, false>;
  std::size_t total = 0;
  for (const Product& product : products)
    if (product.matrix->data != nullptr) total += product.matrix->bytes();
  pass.pool.run([&](int part, int parts) {
    const std::size_t start = total * part / parts, stop = total * (part + 1) / parts;
    std::size_t at = 0;
    for (const Product& product : products) {
      const Matrix& m = *product.matrix;
      if (m.data == nullptr) continue;
      for (int strip = 0; strip < m.strips(); ++strip) {
        if (at >= start && at < stop)
          multiply_one(m, strip, *product.input, rows, product.y, product.stride);
        at += m.strip_panels(strip) * m.panel_bytes();
      }
    }
  });
}

// What a token shift mixes a row with: the row before it. Layer by layer, states keep their last.
inline const float* row_before(const Pass& pass, float* rows, std::size_t shift, int r) {
  return pass.rows.one_state && r > 0 ? pass.row(rows, r - 1) : pass.rows.state(r) + shift;
}

}  // namespace rwkv
