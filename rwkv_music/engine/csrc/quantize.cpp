#include "quantize.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace rwkv {

namespace {

std::uint16_t to_bf16(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

float from_bf16(std::uint16_t bf16) {
  const std::uint32_t bits = static_cast<std::uint32_t>(bf16) << 16;
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

float largest(const float* row, int count) {
  float most = 0;
  for (int i = 0; i < count; ++i) most = std::fmax(most, std::fabs(row[i]));
  return most;
}

float quantised(float x, float inverse, float low, float high) {
  return std::fmin(std::fmax(std::nearbyint(x * inverse), low), high);
}

// The scale, a bfloat16, with which x[kGroup] loses least. The weight furthest from zero is -8 of
// it, or a little beyond what four bits reach: clipping one may serve the others.
float int4_scale(const float* x) {
  float furthest = 0;
  for (int i = 0; i < kGroup; ++i)
    if (std::fabs(x[i]) > std::fabs(furthest)) furthest = x[i];
  float best = 0, least = INFINITY;
  for (const float reach : {-8.0f, -7.4f, -8.7f, -9.4f, 7.2f, 8.0f}) {
    const float scale = from_bf16(to_bf16(furthest / reach));
    const float inverse = scale == 0 ? 0 : 1 / scale;
    float error = 0;
    for (int i = 0; i < kGroup; ++i) {
      const float d = quantised(x[i], inverse, -8, 7) * scale - x[i];
      error += d * d;
    }
    if (error < least) {
      least = error;
      best = scale;
    }
  }
  return best;
}

// Writes rows of a matrix to their places, row by row.
class Packer {
 public:
  Packer(const Matrix& layout, std::byte* data, std::byte* scales)
      : m_(layout), unit_(inputs_per_unit(layout.format)), data_(data), scales_(scales) {}

  void put(int output, const float* row) {
    output_ = output;
    switch (m_.format) {
      case Format::float32:
        for (int i = 0; i < m_.inputs; ++i) std::memcpy(place(i), row + i, sizeof(float));
        break;
      case Format::bfloat16:
        for (int i = 0; i < m_.inputs; ++i) {
          const std::uint16_t bits = to_bf16(row[i]);
          std::memcpy(place(i) + i % 2 * sizeof bits, &bits, sizeof bits);
        }
        break;
      case Format::int8:
        put_int8(row);
        break;
      case Format::int4:
        put_int4(row);
        break;
    }
  }

 private:
  // The four bytes that hold input i of this output.
  std::byte* place(int i) const {
    const int panel = output_ / kLanes, strip = panel / kStripPanels;
    const int at = i / unit_ * m_.strip_panels(strip) + panel % kStripPanels;
    return data_ + m_.strip_start(strip) + static_cast<std::size_t>(at) * kUnitBytes +
           output_ % kLanes * 4;
  }

  void put_int8(const float* row) {
    const float most = largest(row, m_.inputs), inverse = most > 0 ? 127 / most : 0;
    const float scale = most / 127;
    std::memcpy(scales_ + output_ * sizeof scale, &scale, sizeof scale);
    for (int i = 0; i < m_.inputs; ++i)
      place(i)[i % 4] = static_cast<std::byte>(
          static_cast<int>(quantised(row[i], inverse, -127, 127)) + 128);
  }

  void put_int4(const float* row) {
    const int panel = output_ / kLanes, strip = panel / kStripPanels;
    for (int g = 0; g < m_.groups(); ++g) {
      const float scale = int4_scale(row + g * kGroup), inverse = scale == 0 ? 0 : 1 / scale;
      const int at = g * m_.strip_panels(strip) + panel % kStripPanels;
      const std::uint16_t bits = to_bf16(scale);
      const std::size_t scale_at = m_.strip_scales_start(strip) + at * kLanes + output_ % kLanes;
      std::memcpy(scales_ + scale_at * sizeof bits, &bits, sizeof bits);
      for (int i = g * kGroup; i < (g + 1) * kGroup; ++i) {
        const int q = static_cast<int>(quantised(row[i], inverse, -8, 7)) + 8;
        place(i)[i % 4] |= static_cast<std::byte>(i % 8 < 4 ? q : q << 4);
      }
    }
  }

  const Matrix& m_;
  int unit_, output_ = 0;
  std::byte *data_, *scales_;
};

}  // namespace

void pack(const Matrix& m, const Source& source, std::byte* data, std::byte* scales) {
  Packer packer(m, data, scales);
  std::vector<float> row(m.inputs);  // zero where it is padded
  for (int output = 0; output < m.outputs; ++output) {
    for (int i = 0; i < source.inputs; ++i)
      row[i] = output < source.outputs
                   ? source.data[output * source.output_stride + i * source.input_stride]
                   : 0;
    packer.put(output, row.data());
  }
}

}  // namespace rwkv
