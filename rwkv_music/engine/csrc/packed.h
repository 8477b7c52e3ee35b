// How a weight matrix lies in memory, the same for every instruction set.
//
// Sixteen outputs side by side are a panel, up to four panels a strip. A strip is read from its
// first byte to its last: for each unit of inputs, 64 bytes for each of its panels, four bytes for
// each output. A unit is as many inputs as four bytes hold: 1 (float32), 2 (bfloat16), 4 (int8),
// 8 (int4: inputs 0-3 in the low half of each byte, 4-7 in the high half).
// int8 is stored as q + 128 with one scale for each output, int4 as q + 8 with one scale for each
// output and group of inputs: unsigned weights times signed activations is what VNNI multiplies.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rwkv {

enum class Format { float32, bfloat16, int8, int4 };

constexpr int kLanes = 16;
constexpr int kStripPanels = 4;
constexpr int kUnitBytes = 64;
constexpr int kGroup = 32;  // inputs that share a scale; what inputs are padded to
constexpr int kHeadSize = 64;

// Weights of more bytes come from memory, token by token, whatever was read before.
constexpr std::size_t kCacheBytes = std::size_t{32} << 20;

constexpr int round_up(int n, int multiple) { return (n + multiple - 1) / multiple * multiple; }

constexpr int inputs_per_unit(Format format) {
  return format == Format::float32 ? 1 : format == Format::bfloat16 ? 2 : format == Format::int8 ? 4 : 8;
}

struct Matrix {
  Format format = Format::float32;
  int outputs = 0;  // padded to kLanes
  int inputs = 0;   // padded to kGroup
  const std::byte* data = nullptr;
  // int8: float [outputs]; int4: bfloat16 [strip][group][output of the strip]; else nothing.
  const std::byte* scales = nullptr;

  Matrix() = default;
  Matrix(Format its_format, int its_outputs, int its_inputs)
      : format(its_format),
        outputs(round_up(its_outputs, kLanes)),
        inputs(round_up(its_inputs, kGroup)) {}

  int panels() const { return outputs / kLanes; }
  int strips() const { return (panels() + kStripPanels - 1) / kStripPanels; }
  int groups() const { return inputs / kGroup; }
  int strip_panels(int strip) const {
    const int left = panels() - strip * kStripPanels;
    return left < kStripPanels ? left : kStripPanels;
  }
  std::size_t panel_bytes() const {
    return static_cast<std::size_t>(inputs / inputs_per_unit(format)) * kUnitBytes;
  }
  std::size_t bytes() const { return panels() * panel_bytes(); }
  std::size_t scale_bytes() const {  // whole lines, so that in a file all that follows is aligned
    const std::size_t bytes =
        format == Format::int8   ? outputs * sizeof(float)
        : format == Format::int4 ? static_cast<std::size_t>(outputs) * groups() * 2
                                 : 0;
    return (bytes + kUnitBytes - 1) / kUnitBytes * kUnitBytes;
  }
  // Where a strip begins: in bytes, and in group scales.
  std::size_t strip_start(int strip) const { return strip * (kStripPanels * panel_bytes()); }
  std::size_t strip_scales_start(int strip) const {
    return static_cast<std::size_t>(strip) * kStripPanels * kLanes * groups();
  }
  const std::byte* strip(int strip) const { return data + strip_start(strip); }
  const float* output_scales() const { return reinterpret_cast<const float*>(scales); }
  const std::uint16_t* strip_scales(int strip) const {
    return reinterpret_cast<const std::uint16_t*>(scales) + strip_scales_start(strip);
  }
};

}  // namespace rwkv
