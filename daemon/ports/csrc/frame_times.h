// When the server's frames are, in nanoseconds of the steady clock.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace rwkv_music::jack {

// A period is never begun early, but often late, by whatever else the machine does. So a frame is
// where it would be had none of the latest periods begun late. (The server's own estimate is a
// filter that needs seconds to forget one late period.) When the server comes too late for a period
// its frames stand still, for as long as it likes, and the clock does not: then all begins anew.
class FrameTimes {
 public:
  static constexpr std::size_t kLatest = 32;  // periods, of which some have begun on time

  explicit FrameTimes(std::uint32_t rate) : rate_(rate) {}

  std::uint32_t rate() const { return static_cast<std::uint32_t>(rate_); }
  double ns_a_frame() const { return 1e9 / rate_; }

  // When the period that begins with `frame` should have begun; it was seen to at `seen_ns`. The
  // server's count of frames comes round to zero once a day. One that jumps back, as JACK2's may
  // when it mends its clock, counts as a day more: then that period is the promptest by far, and
  // all is right at once.
  std::int64_t begin_ns(std::uint32_t frame, std::uint32_t period, std::int64_t seen_ns) {
    frames_ += count_ == 0 ? frame : frame - last_frame_;
    last_frame_ = frame;
    const std::int64_t zero_ns = seen_ns - in_ns(frames_);
    if (count_ > 0 && zero_ns > least() + in_ns(period)) count_ = 0;
    zeros_ns_[count_++ % kLatest] = zero_ns;
    return in_ns(frames_) + least();
  }

 private:
  std::int64_t in_ns(std::int64_t frames) const {
    const std::int64_t second = 1'000'000'000;
    return frames / rate_ * second + frames % rate_ * second / rate_;
  }

  std::int64_t least() const {
    return *std::min_element(zeros_ns_.begin(), zeros_ns_.begin() + std::min(count_, kLatest));
  }

  std::int64_t rate_;
  std::array<std::int64_t, kLatest> zeros_ns_{};  // of frame 0
  std::size_t count_ = 0;  // of the periods since all began anew
  std::int64_t frames_ = 0;
  std::uint32_t last_frame_ = 0;
};

}  // namespace rwkv_music::jack
