// What we use of libjack, found at run time: it comes with the server, which a machine may lack, and
// PipeWire puts its own in its place. Declared here as JACK's API says, so that building needs no
// headers of it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rwkv_music::jack {

struct Handle;      // jack_client_t
struct PortHandle;  // jack_port_t

using Frames = std::uint32_t;  // jack_nframes_t

struct MidiEvent {  // jack_midi_event_t
  Frames time;
  std::size_t size;
  unsigned char* buffer;
};

constexpr int kNoStartServer = 1;
constexpr unsigned long kIsInput = 1, kIsOutput = 2;
constexpr const char* kMidiType = "8 bit raw midi";

struct Libjack {
  Handle* (*client_open)(const char* name, int options, int* status, ...);
  int (*client_close)(Handle*);
  int (*activate)(Handle*);
  int (*set_process_callback)(Handle*, int (*)(Frames, void*), void*);
  int (*set_sample_rate_callback)(Handle*, int (*)(Frames, void*), void*);
  void (*on_shutdown)(Handle*, void (*)(void*), void*);
  PortHandle* (*port_register)(Handle*, const char* name, const char* type, unsigned long flags,
                               unsigned long buffer_size);
  int (*port_unregister)(Handle*, PortHandle*);
  const char* (*port_name)(const PortHandle*);
  PortHandle* (*port_by_name)(Handle*, const char* name);
  const char** (*port_get_all_connections)(const Handle*, const PortHandle*);
  const char** (*get_ports)(Handle*, const char* name, const char* type, unsigned long flags);
  int (*connect)(Handle*, const char* source, const char* destination);
  void (*free)(void*);
  void* (*port_get_buffer)(PortHandle*, Frames);
  Frames (*get_sample_rate)(Handle*);
  Frames (*get_buffer_size)(Handle*);
  Frames (*last_frame_time)(const Handle*);
  Frames (*frames_since_cycle_start)(const Handle*);
  std::uint32_t (*midi_get_event_count)(void* buffer);
  int (*midi_event_get)(MidiEvent*, void* buffer, std::uint32_t index);
  void (*midi_clear_buffer)(void* buffer);
  int (*midi_event_write)(void* buffer, Frames time, const unsigned char* data, std::size_t size);
  void (*set_error_function)(void (*)(const char*));
  void (*set_info_function)(void (*)(const char*));
};

// Throws std::runtime_error where there is none, or one that lacks something.
const Libjack& libjack();

}  // namespace rwkv_music::jack
