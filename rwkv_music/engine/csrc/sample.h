// One id from logits; rwkv_music/sampling.py says what everything means and does the same in NumPy.
#pragma once

#include <cstddef>
#include <tuple>

namespace rwkv {

// now, now_stop, later, later_stop, end, may_end: tokenizer/grammar.py, Ranges.
using Ranges = std::tuple<int, int, int, int, int, bool>;

// The ids [now, now_stop) count from `first` in both arrays, which may be null.
struct Odds {
  const bool* kept;
  const double* recent;
  int first;
  double log_penalty, density;
};

struct Sampling {
  double temperature, top_p;
  int top_k;
  double min_p;
};

// -1 when no id is left. Expects ids within the logits and the arrays: python.cpp has checked.
int draw(const float* logits, const Ranges& ranges, const Odds& odds, const Sampling& sampling,
         double u);

}  // namespace rwkv
