// A short MIDI message and when it is, in nanoseconds of the steady clock (Python's monotonic one).
#pragma once

#include <cstdint>

namespace rwkv_music::jack {

constexpr int kLongest = 3;  // bytes; what is longer is system exclusive, and no music
constexpr std::int64_t kNow = INT64_MIN;

struct Message {
  std::int64_t at_ns;
  std::uint8_t size;
  std::uint8_t bytes[kLongest];

  int kind() const { return bytes[0] & 0xF0; }
  bool is_strike() const { return kind() == 0x90 && bytes[2] != 0; }
  bool is_release() const { return kind() == 0x80 || (kind() == 0x90 && bytes[2] == 0); }
};

// Whether the order of two messages matters: they are of one channel and not of different notes.
inline bool are_bound(const Message& a, const Message& b) {
  if (a.kind() == 0xF0 || b.kind() == 0xF0) return true;
  if ((a.bytes[0] & 0x0F) != (b.bytes[0] & 0x0F)) return false;
  const bool both_notes = a.kind() <= 0x90 && b.kind() <= 0x90;
  return !both_notes || a.bytes[1] == b.bytes[1];
}

}  // namespace rwkv_music::jack
