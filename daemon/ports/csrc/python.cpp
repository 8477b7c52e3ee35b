// The module `_jack`.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "client.h"

namespace py = pybind11;

namespace rwkv_music::jack {
namespace {

using Arrival = std::pair<std::int64_t, py::bytes>;

Message made(const std::string& raw, std::optional<std::int64_t> at_ns) {
  if (raw.empty() || raw.size() > kLongest) {
    throw py::value_error("a message has one to three bytes, got " + std::to_string(raw.size()));
  }
  Message message{at_ns.value_or(kNow), static_cast<std::uint8_t>(raw.size()), {}};
  std::copy(raw.begin(), raw.end(), message.bytes);
  return message;
}

Arrival told(const Message& message) {
  return {message.at_ns, py::bytes(reinterpret_cast<const char*>(message.bytes), message.size)};
}

// A name of JACK's may be any bytes: what is not UTF-8 in it becomes U+FFFD, and by that it can be
// told but not connected.
py::str text(const std::string& name) {
  PyObject* decoded =
      PyUnicode_DecodeUTF8(name.data(), static_cast<py::ssize_t>(name.size()), "replace");
  if (decoded == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(decoded);
}

template <typename Ask>
std::vector<py::str> names(const Ask& ask) {
  std::vector<std::string> raw;
  {
    const py::gil_scoped_release released;
    raw = ask();
  }
  std::vector<py::str> all;
  for (const std::string& name : raw) all.push_back(text(name));
  return all;
}

// A port keeps its client.
template <typename P>
struct Opened {
  std::shared_ptr<Client> client;
  std::shared_ptr<P> port;

  void close() {
    const py::gil_scoped_release released;
    client->close_port(*port);
  }
};

std::vector<Arrival> poll(Opened<Input>& input) {
  std::vector<Arrival> arrived;
  for (const Message& message : input.port->poll()) arrived.push_back(told(message));
  return arrived;
}

// When it leaves; None when it is refused.
std::optional<std::int64_t> send(Opened<Output>& output, const std::string& raw,
                                 std::optional<std::int64_t> at_ns) {
  const Message message = made(raw, at_ns);
  if (!output.client->alive() || !output.port->send(message)) return std::nullopt;
  return std::max(message.at_ns, output.client->next_ns());
}

std::vector<Arrival> list(const Waiting& waiting) {
  std::vector<Arrival> all;
  for (std::size_t k = 0; k < waiting.count(); ++k) all.push_back(told(waiting[k]));
  return all;
}

void add(Waiting& waiting, const std::string& raw, std::optional<std::int64_t> at_ns) {
  if (waiting.is_full()) throw std::runtime_error("full");
  waiting.add(made(raw, at_ns));
}

}  // namespace

PYBIND11_MODULE(_jack, module) {
  using Released = py::call_guard<py::gil_scoped_release>;
  module.attr("SOURCE_STAMP") = std::uint64_t{RWKV_MUSIC_SOURCE_STAMP};
  module.attr("NOW") = kNow;
  py::class_<Opened<Input>>(module, "Input")
      .def_property_readonly("full_name",
                             [](const Opened<Input>& self) { return text(self.port->full_name()); })
      .def_property_readonly("lost", [](const Opened<Input>& self) { return self.port->lost(); })
      .def("poll", &poll)
      .def("close", &Opened<Input>::close);
  py::class_<Opened<Output>>(module, "Output")
      .def_property_readonly("full_name",
                             [](const Opened<Output>& self) { return text(self.port->full_name()); })
      .def("send", &send, py::arg("message"), py::arg("at_ns") = py::none())
      .def("close", &Opened<Output>::close);
  py::class_<Client, std::shared_ptr<Client>>(module, "Client")
      .def(py::init<const std::string&>(), py::arg("name"), Released())
      .def("open_input",
           [](std::shared_ptr<Client> self, const std::string& name) {
             const py::gil_scoped_release released;
             return Opened<Input>{self, self->open_input(name)};
           })
      .def("open_output",
           [](std::shared_ptr<Client> self, const std::string& name) {
             const py::gil_scoped_release released;
             return Opened<Output>{self, self->open_output(name)};
           })
      .def("sources",
           [](const Client& self) { return names([&] { return self.sources(); }); })
      .def("destinations",
           [](const Client& self) { return names([&] { return self.destinations(); }); })
      .def("peers",
           [](const Client& self, const std::string& full_name) {
             return names([&] { return self.peers(full_name); });
           },
           py::arg("full_name"))
      .def("connect", &Client::connect, py::arg("source"), py::arg("destination"), Released())
      .def("close", &Client::close, Released())
      .def_property_readonly("alive", &Client::alive)
      .def_property_readonly("period_ns", &Client::period_ns);
  // For the tests: what the server's thread does with them.
  py::class_<Waiting>(module, "Waiting")
      .def(py::init<>())
      .def("add", &add, py::arg("message"), py::arg("at_ns") = py::none())
      .def("drop_first", &Waiting::drop_first)
      .def("list", &list);
  py::class_<FrameTimes>(module, "FrameTimes")
      .def(py::init<std::uint32_t>(), py::arg("rate"))
      .def("begin_ns", &FrameTimes::begin_ns, py::arg("frame"), py::arg("period"),
           py::arg("seen_ns"));
}

}  // namespace rwkv_music::jack
