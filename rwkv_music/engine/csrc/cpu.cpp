#include "cpu.h"

#include <initializer_list>
#include <stdexcept>

#if defined(_MSC_VER) && defined(_M_X64)
#include <intrin.h>
#elif defined(__x86_64__)
#include <cpuid.h>
#elif defined(__linux__) && defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace rwkv {

extern const InstructionSet isa_scalar;

#if defined(__x86_64__) || defined(_M_X64)

extern const InstructionSet isa_avx512_bf16, isa_avx512_vnni, isa_avx2_vnni, isa_avx2;

namespace {

struct Registers {
  unsigned a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(unsigned leaf, unsigned subleaf) {
  Registers r;
#ifdef _MSC_VER
  int values[4];
  __cpuidex(values, static_cast<int>(leaf), static_cast<int>(subleaf));
  r = {unsigned(values[0]), unsigned(values[1]), unsigned(values[2]), unsigned(values[3])};
#else
  __get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d);
#endif
  return r;
}

// Which registers the operating system saves (XCR0): bits 1, 2 for AVX, 5-7 for AVX-512.
unsigned saved_registers() {
#ifdef _MSC_VER
  return static_cast<unsigned>(_xgetbv(0));
#else
  unsigned a, d;
  __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
  return a;
#endif
}

bool has(unsigned value, std::initializer_list<int> bits) {
  for (const int bit : bits)
    if ((value >> bit & 1) == 0) return false;
  return true;
}

std::vector<InstructionSet> detect() {
  std::vector<InstructionSet> sets;
  const Registers one = cpuid(1, 0), seven = cpuid(7, 0), more = cpuid(7, 1);
  const unsigned saved = has(one.c, {27}) ? saved_registers() : 0;
  const bool avx2 = has(one.c, {12, 28}) && has(seven.b, {5}) && has(saved, {1, 2});
  const bool avx512 = avx2 && has(saved, {5, 6, 7}) && has(seven.b, {16, 17, 30, 31}) &&
                      has(seven.c, {11});  // F, DQ, BW, VL, VNNI
  if (avx512 && has(more.a, {5})) sets.push_back(isa_avx512_bf16);
  if (avx512) sets.push_back(isa_avx512_vnni);
  if (avx2 && has(more.a, {4})) sets.push_back(isa_avx2_vnni);
  if (avx2) sets.push_back(isa_avx2);
  sets.push_back(isa_scalar);
  return sets;
}

}  // namespace

#elif defined(__aarch64__) || defined(_M_ARM64)

extern const InstructionSet isa_neon_dot, isa_neon;

namespace {

std::vector<InstructionSet> detect() {
  std::vector<InstructionSet> sets;
#if defined(__APPLE__)
  const bool dot = true;  // every Apple processor of this architecture that runs macOS
#elif defined(__linux__)
  const bool dot = getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
#else
  const bool dot = false;
#endif
  if (dot) sets.push_back(isa_neon_dot);
  sets.push_back(isa_neon);
  sets.push_back(isa_scalar);
  return sets;
}

}  // namespace

#else

namespace {

std::vector<InstructionSet> detect() { return {isa_scalar}; }

}  // namespace

#endif

const std::vector<InstructionSet>& instruction_sets() {
  static const std::vector<InstructionSet> sets = detect();
  return sets;
}

const InstructionSet& instruction_set(const std::string& name) {
  std::string known;
  for (const InstructionSet& set : instruction_sets()) {
    if (name.empty() || name == set.name) return set;
    known += known.empty() ? set.name : std::string(", ") + set.name;
  }
  throw std::invalid_argument("instruction set: got '" + name + "', this processor runs " + known);
}

}  // namespace rwkv
