// A client of JACK's whose messages carry their times: each leaves with the frame that it is for, and
// arrives with the frame that it came in.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "frame_times.h"
#include "libjack.h"
#include "message.h"
#include "ring.h"
#include "waiting.h"

namespace rwkv_music::jack {

class Client;

// A port of ours. The server's thread has one end of the ring, whoever polls or sends the other.
class Port {
 public:
  static constexpr std::size_t kPlaces = 8192;

  virtual ~Port() = default;
  const std::string& full_name() const { return full_name_; }

 protected:
  friend class Client;
  virtual void process(void* buffer, Frames period, std::int64_t begin_ns, double ns_a_frame) = 0;
  virtual bool is_done() const { return true; }

  PortHandle* handle_ = nullptr;
  std::string full_name_;
  Ring<Message, kPlaces> ring_;
};

class Input : public Port {
 public:
  // What has come in since the last time, system exclusive messages left out. One thread.
  std::vector<Message> poll();
  // Messages that came while nobody polled and there was no place left.
  std::uint64_t lost() const { return lost_; }

 private:
  void process(void* buffer, Frames period, std::int64_t begin_ns, double ns_a_frame) override;

  std::atomic<std::uint64_t> lost_{0};
};

class Output : public Port {
 public:
  // False when there is no place: the server stands still. One thread at a time.
  bool send(const Message& message);

 private:
  void process(void* buffer, Frames period, std::int64_t begin_ns, double ns_a_frame) override;
  bool is_done() const override { return left_ == sent_; }

  Waiting waiting_;  // the server's thread alone knows it
  std::atomic<std::uint64_t> sent_{0}, left_{0};
};

// All methods may wait for the server, but for `alive`, `period_ns` and `next_ns`; any thread.
// Those that say so throw std::runtime_error. A client whose server has gone is never closed, nor
// are its ports: libjack does not survive that. Nor is one whose server stands still.
class Client {
 public:
  // patch.py remembers as many listeners, and a rescue plays to each.
  static constexpr std::size_t kMostPorts = 64;

  explicit Client(const std::string& name);  // throws
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  std::shared_ptr<Input> open_input(const std::string& name);    // throws
  std::shared_ptr<Output> open_output(const std::string& name);  // throws
  // After what was sent has left. May be called again.
  void close_port(Port& port);
  // After every port. Whether it is closed: one that is not must live as long as this process, as
  // libjack's threads may be in it. May be called again.
  bool close();

  // Full names of all MIDI ports that can be listened to, or played to.
  std::vector<std::string> sources() const;
  std::vector<std::string> destinations() const;
  std::vector<std::string> peers(const std::string& full_name) const;
  // Throws. What is sent from then on is heard, unless the server stands still.
  void connect(const std::string& source, const std::string& destination);

  bool alive() const { return !gone_; }
  std::int64_t period_ns() const { return period_ns_; }
  // When what is sent now would leave at the soonest.
  std::int64_t next_ns() const;

 private:
  static int process(Frames period, void* client);
  static int hear_rate(Frames rate, void* client);
  static void shut_down(void* client);
  void open_port(const std::shared_ptr<Port>& port, const std::string& name, unsigned long flag);
  // Until the server has been at all ports so many times, or stands still.
  bool rest(std::uint64_t periods) const;
  std::vector<std::string> ports(unsigned long flag) const;

  const Libjack& jack_;
  Handle* handle_ = nullptr;
  // libjack talks to the server over one socket, one question at a time.
  std::timed_mutex asking_;
  bool is_active_ = false;
  std::atomic<bool> is_closed_{false};
  std::array<std::atomic<Port*>, kMostPorts> slots_{};  // what the server's thread serves
  std::vector<std::shared_ptr<Port>> ports_;
  // PipeWire knows its rate only when we are active, and may change it then.
  std::atomic<Frames> rate_{0};
  std::optional<FrameTimes> times_;
  std::atomic<bool> gone_{false};
  std::atomic<std::uint64_t> periods_{0};
  std::atomic<std::int64_t> begin_ns_{0}, period_ns_{0};
};

}  // namespace rwkv_music::jack
