// As many float32 lanes as the processor this is compiled for has in a register.
#pragma once

#include <cstring>

namespace wkv7 {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

#if defined(__has_builtin) && !defined(WKV7_PLAIN_LANES)
#if __has_builtin(__builtin_shufflevector)
#define WKV7_VECTORS
#endif
#endif

#ifdef WKV7_VECTORS  // GCC 12, Clang

typedef float Lanes __attribute__((vector_size(4 * kLanes)));

#else  // any compiler: loops that it may vectorise

struct Lanes {
  float x[kLanes];
  float operator[](int i) const { return x[i]; }
};

template <class Operation>
inline Lanes each(Operation operation) {
  Lanes result;
  for (int i = 0; i < kLanes; ++i) result.x[i] = operation(i);
  return result;
}
inline Lanes operator+(const Lanes& p, const Lanes& q) {
  return each([&](int i) { return p.x[i] + q.x[i]; });
}
inline Lanes operator*(const Lanes& p, const Lanes& q) {
  return each([&](int i) { return p.x[i] * q.x[i]; });
}
inline Lanes operator*(const Lanes& p, float q) {
  return each([&](int i) { return p.x[i] * q; });
}
inline Lanes& operator+=(Lanes& p, const Lanes& q) { return p = p + q; }

#endif

inline Lanes load(const float* from) {
  Lanes x;
  std::memcpy(&x, from, sizeof x);
  return x;
}

inline void store(float* to, const Lanes& x) { std::memcpy(to, &x, sizeof x); }

#ifdef WKV7_VECTORS

// The sums of neighbours, those of p first.
inline Lanes neighbours(const Lanes& p, const Lanes& q) {
#if defined(__AVX512F__)
  return __builtin_shufflevector(p, q, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30) +
         __builtin_shufflevector(p, q, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
#elif defined(__AVX__)
  return __builtin_shufflevector(p, q, 0, 2, 4, 6, 8, 10, 12, 14) +
         __builtin_shufflevector(p, q, 1, 3, 5, 7, 9, 11, 13, 15);
#else
  return __builtin_shufflevector(p, q, 0, 2, 4, 6) + __builtin_shufflevector(p, q, 1, 3, 5, 7);
#endif
}

template <int kCount>
inline Lanes folded(const float* vectors) {
  if constexpr (kCount == 1)
    return load(vectors);
  else
    return neighbours(folded<kCount / 2>(vectors),
                      folded<kCount / 2>(vectors + kCount / 2 * kLanes));
}

#endif

// The sum of each of kLanes vectors, which lie one after the other, as one vector.
inline Lanes sums(const float* vectors) {
#ifdef WKV7_VECTORS
  return folded<kLanes>(vectors);
#else
  return each([&](int i) {
    float sum = 0;
    for (int l = 0; l < kLanes; ++l) sum += vectors[i * kLanes + l];
    return sum;
  });
#endif
}

}  // namespace wkv7
