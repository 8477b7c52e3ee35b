// The messages that wait for their frame, in the order in which they will leave.
#pragma once

#include <array>
#include <cstddef>

#include "message.h"

namespace rwkv_music::jack {

// A message leaves at its time, but never before an earlier one that it is bound to. One that is to
// leave now and ends a note which has not begun takes that note away instead: it is never heard.
class Waiting {
 public:
  static constexpr std::size_t kPlaces = 512;

  bool is_full() const { return count_ == kPlaces; }
  std::size_t count() const { return count_; }
  const Message& operator[](std::size_t place) const { return messages_[place]; }

  // There must be a place.
  void add(Message message) {
    std::size_t place = count_;
    while (place > 0 && messages_[place - 1].at_ns > message.at_ns) {
      const Message& before = messages_[place - 1];
      if (are_bound(before, message)) {
        if (message.at_ns == kNow && message.is_release() && before.is_strike()) {
          drop(place - 1, 1);
          return;
        }
        message.at_ns = before.at_ns;
        break;
      }
      --place;
    }
    for (std::size_t k = count_++; k > place; --k) messages_[k] = messages_[k - 1];
    messages_[place] = message;
  }

  void drop_first(std::size_t count) { drop(0, count); }

 private:
  void drop(std::size_t place, std::size_t count) {
    count_ -= count;
    for (std::size_t k = place; k < count_; ++k) messages_[k] = messages_[k + count];
  }

  std::array<Message, kPlaces> messages_;
  std::size_t count_ = 0;
};

}  // namespace rwkv_music::jack
