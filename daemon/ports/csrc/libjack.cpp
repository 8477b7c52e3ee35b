#include "libjack.h"

#include <dlfcn.h>

#include <initializer_list>
#include <stdexcept>
#include <string>

namespace rwkv_music::jack {
namespace {

#if defined(__APPLE__)
constexpr const char* kNames[] = {"libjack.0.dylib", "/opt/homebrew/lib/libjack.0.dylib",
                                  "/usr/local/lib/libjack.0.dylib"};
#else
constexpr const char* kNames[] = {"libjack.so.0"};
#endif

void* opened() {
  for (const char* name : kNames) {
    if (void* library = dlopen(name, RTLD_NOW | RTLD_GLOBAL)) return library;
  }
  throw std::runtime_error(std::string(kNames[0]) + " is not installed");
}

template <typename Function>
void find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (function == nullptr) throw std::runtime_error(std::string("libjack lacks ") + name);
}

Libjack load() {
  void* library = opened();
  Libjack jack{};
  find(library, "jack_client_open", jack.client_open);
  find(library, "jack_client_close", jack.client_close);
  find(library, "jack_activate", jack.activate);
  find(library, "jack_set_process_callback", jack.set_process_callback);
  find(library, "jack_set_sample_rate_callback", jack.set_sample_rate_callback);
  find(library, "jack_on_shutdown", jack.on_shutdown);
  find(library, "jack_port_register", jack.port_register);
  find(library, "jack_port_unregister", jack.port_unregister);
  find(library, "jack_port_name", jack.port_name);
  find(library, "jack_port_by_name", jack.port_by_name);
  find(library, "jack_port_get_all_connections", jack.port_get_all_connections);
  find(library, "jack_get_ports", jack.get_ports);
  find(library, "jack_connect", jack.connect);
  find(library, "jack_free", jack.free);
  find(library, "jack_port_get_buffer", jack.port_get_buffer);
  find(library, "jack_get_sample_rate", jack.get_sample_rate);
  find(library, "jack_get_buffer_size", jack.get_buffer_size);
  find(library, "jack_last_frame_time", jack.last_frame_time);
  find(library, "jack_frames_since_cycle_start", jack.frames_since_cycle_start);
  find(library, "jack_midi_get_event_count", jack.midi_get_event_count);
  find(library, "jack_midi_event_get", jack.midi_event_get);
  find(library, "jack_midi_clear_buffer", jack.midi_clear_buffer);
  find(library, "jack_midi_event_write", jack.midi_event_write);
  find(library, "jack_set_error_function", jack.set_error_function);
  find(library, "jack_set_info_function", jack.set_info_function);
  return jack;
}

}  // namespace

const Libjack& libjack() {
  static const Libjack jack = load();
  return jack;
}

}  // namespace rwkv_music::jack
