#include "client.h"

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <thread>

namespace rwkv_music::jack {
namespace {

using namespace std::chrono_literals;

constexpr auto kStandsStill = 500ms;

std::int64_t now_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

std::vector<std::string> taken(const Libjack& jack, const char** names) {
  std::vector<std::string> all;
  for (const char** name = names; name != nullptr && *name != nullptr; ++name) {
    all.emplace_back(*name);
  }
  if (names != nullptr) jack.free(names);
  return all;
}

}  // namespace

// --- ports -------------------------------------------------------------------------------------

std::vector<Message> Input::poll() {
  std::vector<Message> arrived;
  for (Message message; ring_.take(message);) arrived.push_back(message);
  return arrived;
}

void Input::process(void* buffer, Frames, std::int64_t begin_ns, double ns_a_frame) {
  const Libjack& jack = libjack();
  const std::uint32_t count = jack.midi_get_event_count(buffer);
  for (std::uint32_t index = 0; index < count; ++index) {
    MidiEvent event;
    if (jack.midi_event_get(&event, buffer, index) != 0) continue;
    if (event.size == 0 || event.size > kLongest || event.buffer[0] == 0xF0) continue;
    Message message{begin_ns + std::llround(event.time * ns_a_frame),
                    static_cast<std::uint8_t>(event.size),
                    {}};
    std::memcpy(message.bytes, event.buffer, event.size);
    if (!ring_.put(message)) ++lost_;
  }
}

bool Output::send(const Message& message) {
  if (!ring_.put(message)) return false;
  ++sent_;
  return true;
}

void Output::process(void* buffer, Frames period, std::int64_t begin_ns, double ns_a_frame) {
  const Libjack& jack = libjack();
  jack.midi_clear_buffer(buffer);
  std::uint64_t came = 0;
  const std::size_t before = waiting_.count();
  for (Message message; !waiting_.is_full() && ring_.take(message); ++came) waiting_.add(message);
  std::size_t written = 0;
  Frames last = 0;
  for (; written < waiting_.count(); ++written) {
    const Message& message = waiting_[written];
    const bool is_timed = message.at_ns > begin_ns;
    const auto frame = is_timed ? std::llround((message.at_ns - begin_ns) / ns_a_frame) : 0;
    if (frame >= static_cast<long long>(period)) break;
    last = std::max(last, static_cast<Frames>(frame));
    // A full buffer: the rest leaves with the next period.
    if (jack.midi_event_write(buffer, last, message.bytes, message.size) != 0) break;
  }
  // Those that were taken away by what came have left as well.
  const std::uint64_t vanished = before + came - waiting_.count();
  waiting_.drop_first(written);
  left_ += vanished + written;
}

// --- the client --------------------------------------------------------------------------------

Client::Client(const std::string& name) : jack_(libjack()) {
  // It would write to stderr what is thrown as well.
  jack_.set_error_function([](const char*) {});
  jack_.set_info_function([](const char*) {});
  int status = 0;
  handle_ = jack_.client_open(name.c_str(), kNoStartServer, &status);
  if (handle_ == nullptr) throw std::runtime_error("no JACK server answers");
  hear_rate(jack_.get_sample_rate(handle_), this);
  if (rate_ == 0) {
    jack_.client_close(handle_);
    throw std::runtime_error("the JACK server tells no sample rate");
  }
  times_.emplace(rate_);
  period_ns_ = std::llround(jack_.get_buffer_size(handle_) * times_->ns_a_frame());
  jack_.set_process_callback(handle_, &Client::process, this);
  jack_.set_sample_rate_callback(handle_, &Client::hear_rate, this);
  jack_.on_shutdown(handle_, &Client::shut_down, this);
}

Client::~Client() { close(); }

int Client::process(Frames period, void* argument) {
  Client& client = *static_cast<Client*>(argument);
  const Libjack& jack = client.jack_;
  const Frames rate = client.rate_;
  if (rate != client.times_->rate()) client.times_.emplace(rate);
  const double ns_a_frame = client.times_->ns_a_frame();
  const Frames frame = jack.last_frame_time(client.handle_);
  // PipeWire's count wraps where its clock says that the period begins in a moment.
  Frames since = jack.frames_since_cycle_start(client.handle_);
  if (since > rate) since = 0;
  const std::int64_t began_ns = now_ns() - std::llround(since * ns_a_frame);
  const std::int64_t begin_ns = client.times_->begin_ns(frame, period, began_ns);
  client.begin_ns_ = begin_ns;
  client.period_ns_ = std::llround(period * ns_a_frame);
  for (const auto& slot : client.slots_) {
    Port* port = slot.load();
    if (port == nullptr) continue;
    void* buffer = jack.port_get_buffer(port->handle_, period);
    if (buffer != nullptr) port->process(buffer, period, begin_ns, ns_a_frame);
  }
  ++client.periods_;
  return 0;
}

int Client::hear_rate(Frames rate, void* client) {
  if (rate != 0) static_cast<Client*>(client)->rate_ = rate;
  return 0;
}

void Client::shut_down(void* client) { static_cast<Client*>(client)->gone_ = true; }

std::shared_ptr<Input> Client::open_input(const std::string& name) {
  auto port = std::make_shared<Input>();
  open_port(port, name, kIsInput);
  return port;
}

std::shared_ptr<Output> Client::open_output(const std::string& name) {
  auto port = std::make_shared<Output>();
  open_port(port, name, kIsOutput);
  return port;
}

void Client::open_port(const std::shared_ptr<Port>& port, const std::string& name,
                       unsigned long flag) {
  const std::lock_guard<std::timed_mutex> lock(asking_);
  if (gone_ || is_closed_) throw std::runtime_error("the JACK server has gone");
  std::atomic<Port*>* free_slot = nullptr;
  for (auto& slot : slots_) {
    if (slot.load() == nullptr) free_slot = &slot;
  }
  if (free_slot == nullptr) throw std::runtime_error("too many ports are open");
  port->handle_ = jack_.port_register(handle_, name.c_str(), kMidiType, flag, 0);
  if (port->handle_ == nullptr) throw std::runtime_error("JACK refuses a port of that name");
  port->full_name_ = jack_.port_name(port->handle_);
  *free_slot = port.get();
  if (!is_active_ && jack_.activate(handle_) != 0) {
    *free_slot = nullptr;
    jack_.port_unregister(handle_, port->handle_);
    throw std::runtime_error("JACK does not activate us");
  }
  is_active_ = true;
  ports_.push_back(port);
}

void Client::close_port(Port& port) {
  const auto begun = std::chrono::steady_clock::now();
  while (!port.is_done() && std::chrono::steady_clock::now() - begun < kStandsStill && !gone_) {
    std::this_thread::sleep_for(1ms);
  }
  const std::unique_lock<std::timed_mutex> lock(asking_, kStandsStill);
  if (!lock) return;
  for (auto& slot : slots_) {
    if (slot.load() != &port) continue;
    if (!rest(2)) return;  // who hears us from a period ago has heard us; the port stays
    slot = nullptr;
    if (!rest(2)) return;
    jack_.port_unregister(handle_, port.handle_);
    for (auto own = ports_.begin(); own != ports_.end(); ++own) {
      if (own->get() == &port) {
        ports_.erase(own);
        return;
      }
    }
  }
}

bool Client::close() {
  const std::unique_lock<std::timed_mutex> lock(asking_, kStandsStill);
  if (!lock || gone_) return false;
  if (!is_closed_.exchange(true)) jack_.client_close(handle_);
  return true;
}

bool Client::rest(std::uint64_t periods) const {
  const std::uint64_t end = periods_ + periods;
  const auto begun = std::chrono::steady_clock::now();
  while (periods_ < end) {
    if (gone_ || std::chrono::steady_clock::now() - begun > kStandsStill) return false;
    std::this_thread::sleep_for(500us);
  }
  return true;
}

std::vector<std::string> Client::sources() const { return ports(kIsOutput); }

std::vector<std::string> Client::destinations() const { return ports(kIsInput); }

std::vector<std::string> Client::ports(unsigned long flag) const {
  if (gone_ || is_closed_) return {};
  return taken(jack_, jack_.get_ports(handle_, nullptr, "midi", flag));
}

std::vector<std::string> Client::peers(const std::string& full_name) const {
  if (gone_ || is_closed_) return {};
  PortHandle* port = jack_.port_by_name(handle_, full_name.c_str());
  if (port == nullptr) return {};
  return taken(jack_, jack_.port_get_all_connections(handle_, port));
}

void Client::connect(const std::string& source, const std::string& destination) {
  std::unique_lock<std::timed_mutex> lock(asking_);
  if (gone_ || is_closed_) throw std::runtime_error("the JACK server has gone");
  for (const std::string& name : {source, destination}) {
    if (jack_.port_by_name(handle_, name.c_str()) == nullptr) {
      throw std::runtime_error("there is no port '" + name + "'");
    }
  }
  const int refused = jack_.connect(handle_, source.c_str(), destination.c_str());
  if (refused != 0 && std::abs(refused) != EEXIST) throw std::runtime_error("JACK refuses");
  if (refused != 0 || !is_active_) return;
  lock.unlock();
  rest(2);  // until then what is sent may be lost
}

std::int64_t Client::next_ns() const {
  const std::int64_t next = begin_ns_ + period_ns_;
  return std::max(next, now_ns());
}

}  // namespace rwkv_music::jack
