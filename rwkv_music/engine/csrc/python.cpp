// The extension module: arrays in, arrays out; no Python object is touched while a model runs.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <optional>

#include "cpu.h"
#include "load.h"
#include "measure.h"
#include "model.h"
#include "sample.h"

namespace py = pybind11;

namespace rwkv {

namespace {

using Floats = py::array_t<float, py::array::c_style>;

// std::out_of_range, Python's IndexError, is for tokens: the Python side makes it a TokenError.

float* state_data(const Model& model, Floats& state) {
  if (state.ndim() != 1 || static_cast<std::size_t>(state.size()) != model.weights().state_size())
    throw std::invalid_argument("state: expected " + std::to_string(model.weights().state_size()) +
                                " float32 values, got " + std::to_string(state.size()));
  return state.mutable_data();  // throws for an array that may not be written
}

void check_token(const Model& model, int token) {
  if (token < 0 || token >= model.weights().vocabulary)
    throw std::out_of_range("token ids: expected 0 to " +
                            std::to_string(model.weights().vocabulary - 1) + ", got " +
                            std::to_string(token));
}

void check_tokens(const Model& model, const std::vector<int>& tokens) {
  if (tokens.empty()) throw std::out_of_range("got no token, expected one or more");
  for (const int token : tokens) check_token(model, token);
}

Floats prefill(Model& model, Floats state, const std::vector<int>& tokens) {
  check_tokens(model, tokens);
  float* data = state_data(model, state);
  Floats logits(model.weights().vocabulary);
  float* out = logits.mutable_data();
  const py::gil_scoped_release released;
  model.prefill(data, tokens.data(), static_cast<int>(tokens.size()), out);
  return logits;
}

Floats step(Model& model, Floats state, int token) {
  check_token(model, token);
  float* data = state_data(model, state);
  Floats logits(model.weights().vocabulary);
  float* out = logits.mutable_data();
  const py::gil_scoped_release released;
  model.prefill(data, &token, 1, out);
  return logits;
}

Floats step_batch(Model& model, std::vector<Floats> states, const std::vector<int>& tokens) {
  check_tokens(model, tokens);
  if (states.size() != tokens.size())
    throw std::out_of_range("got " + std::to_string(states.size()) + " states, " +
                            std::to_string(tokens.size()) + " tokens");
  std::vector<float*> data;
  for (Floats& state : states) data.push_back(state_data(model, state));
  const auto count = static_cast<int>(tokens.size());
  Floats logits(std::vector<py::ssize_t>{count, model.weights().vocabulary});
  float* out = logits.mutable_data();
  const py::gil_scoped_release released;
  model.step_batch(data.data(), tokens.data(), count, out);
  return logits;
}

// Official tensors, asked for by name; what was asked for last is kept while it is read.
Official official_of(const py::function& tensor, Floats& kept) {
  return [&](const std::string& name, std::size_t values) {
    kept = tensor(name).cast<Floats>();
    if (static_cast<std::size_t>(kept.size()) != values)
      throw std::invalid_argument(name + ": expected " + std::to_string(values) +
                                  " values, got " + std::to_string(kept.size()));
    return kept.data();
  };
}

std::unique_ptr<Model> model_of(const Shape& shape, int bits, int threads, const std::string& isa,
                                const py::function& tensor) {
  Floats kept;
  return std::make_unique<Model>(
      [&](Arena& arena) {
        Packing packing(arena, official_of(tensor, kept));
        return load(shape, bits, packing);
      },
      threads, isa);
}

using Bytes = py::array_t<std::uint8_t, py::array::c_style>;

std::unique_ptr<Model> model_of_packed(const Shape& shape, int bits, int threads,
                                       const std::string& isa, const py::function& block) {
  const auto blocks = [&](const std::string& name, std::size_t bytes) {
    const auto found = block(name).cast<Bytes>();
    if (static_cast<std::size_t>(found.size()) != bytes)
      throw std::invalid_argument(name + ": expected " + std::to_string(bytes) + " bytes, got " +
                                  std::to_string(found.size()));
    if (reinterpret_cast<std::uintptr_t>(found.data()) % alignof(float) != 0)
      throw std::invalid_argument(name + ": begins within a number");
    return reinterpret_cast<const std::byte*>(found.data());
  };
  return std::make_unique<Model>(
      [&](Arena&) {
        Packed packed(blocks);
        return load(shape, bits, packed);
      },
      threads, isa);
}

// Packs, and tells of each block that this makes, in order. What was told is forgotten: these are
// weights that nobody reads.
class Telling : public Tensors {
 public:
  Telling(Official official, const py::function& tell)
      : official_(std::move(official)), tell_(tell) {}

  const float* vector(const std::string& name, std::size_t values) override {
    Arena arena(1);
    const float* data = Packing(arena, official_).vector(name, values);
    tell_(name, Bytes(values * sizeof(float), reinterpret_cast<const std::uint8_t*>(data)));
    return data;
  }
  Matrix matrix(const std::string& name, const Matrix& layout, int outputs, int inputs,
                bool flipped) override {
    Arena arena(1);
    const Matrix m = Packing(arena, official_).matrix(name, layout, outputs, inputs, flipped);
    tell_(name, Bytes(m.bytes(), reinterpret_cast<const std::uint8_t*>(m.data)));
    if (m.scales != nullptr)
      tell_(name + ".scales",
            Bytes(m.scale_bytes(), reinterpret_cast<const std::uint8_t*>(m.scales)));
    return m;
  }

 private:
  Official official_;
  const py::function& tell_;
};

void pack_all(const Shape& shape, int bits, const py::function& tensor, const py::function& tell) {
  Floats kept;
  Telling telling(official_of(tensor, kept), tell);
  load(shape, bits, telling);
}

// One id from logits, the arguments flat as they come. See sampling.py; nothing else is checked
// but that every id lies within its array.
int draw_id(const Floats& logits, const Ranges& ranges,
            const std::optional<py::array_t<bool, py::array::c_style>>& kept,
            const std::optional<py::array_t<double, py::array::c_style>>& recent, int first,
            double log_penalty, double density, double temperature, double top_p, int top_k,
            double min_p, double u) {
  const auto within = [](int start, int stop, int low, py::ssize_t count, const char* what) {
    if (start < stop && (start < low || stop - low > count))
      throw std::out_of_range(std::string(what) + ": expected ids " + std::to_string(low) + " to " +
                              std::to_string(low + count - 1) + ", got " + std::to_string(start) +
                              " to " + std::to_string(stop - 1));
  };
  const auto [now, now_stop, later, later_stop, end, may_end] = ranges;
  within(now, now_stop, 0, logits.size(), "logits");
  within(later, later_stop, 0, logits.size(), "logits");
  within(end, end + 1, 0, logits.size(), "logits");
  if (kept) within(now, now_stop, first, kept->size(), "kept");
  if (recent) within(now, now_stop, first, recent->size(), "recent");
  return draw(logits.data(), ranges,
              {kept ? kept->data() : nullptr, recent ? recent->data() : nullptr, first, log_penalty,
               density},
              {temperature, top_p, top_k, min_p}, u);
}

std::vector<std::string> names() {
  std::vector<std::string> names;
  for (const InstructionSet& set : instruction_sets()) names.push_back(set.name);
  return names;
}

}  // namespace

PYBIND11_MODULE(_native, module) {
  module.doc() = "RWKV-7/8 on the CPU. The door to it is rwkv_music.engine.native.";
  module.attr("SOURCE_STAMP") = std::uint64_t{RWKV_MUSIC_SOURCE_STAMP};
  module.def("instruction_sets", &names, "Those that this processor runs, the best first.");
  module.def("draw", &draw_id, py::arg("logits").noconvert(), py::arg("ranges"), py::arg("kept"),
             py::arg("recent"), py::arg("first"), py::arg("log_penalty"), py::arg("density"),
             py::arg("temperature"), py::arg("top_p"), py::arg("top_k"), py::arg("min_p"),
             py::arg("u"), "One id; sampling.py says what everything means.");
  module.def("pack", &pack_all, py::arg("shape"), py::arg("bits"), py::arg("tensor"),
             py::arg("tell"), "tell(name, bytes) of every block of a packed file, in order.");
  py::class_<Memory>(module, "Memory", "For benchmarks: a block of memory that is only read.")
      .def(py::init<std::size_t>(), py::arg("bytes"))
      .def_property_readonly("bytes", &Memory::bytes)
      .def("read", &Memory::read, py::arg("bytes"), py::arg("threads"),
           py::call_guard<py::gil_scoped_release>());
  module.def("round_trip_ns", &round_trip_ns, py::call_guard<py::gil_scoped_release>());
  py::class_<Shape>(module, "Shape")
      .def(py::init<int, int, int, int, int, int, int, bool>(), py::kw_only(), py::arg("layers"),
           py::arg("width"), py::arg("vocabulary"), py::arg("rank_w"), py::arg("rank_a"),
           py::arg("rank_v"), py::arg("rank_g"), py::arg("enn"));
  py::class_<Model>(module, "Model")
      .def(py::init(&model_of), py::arg("shape"), py::arg("bits"), py::arg("threads"),
           py::arg("instruction_set"), py::arg("tensor"))
      .def_static("packed", &model_of_packed, py::arg("shape"), py::arg("bits"), py::arg("threads"),
                  py::arg("instruction_set"), py::arg("block"))
      .def_property_readonly("instruction_set", [](const Model& m) { return m.isa().name; })
      .def_property_readonly("bytes_per_token", &Model::bytes_per_token)
      .def_property_readonly("threads", &Model::threads)
      .def("prefill", &prefill, py::arg("state").noconvert(), py::arg("tokens"))
      .def("step", &step, py::arg("state").noconvert(), py::arg("token"))
      .def("step_batch", &step_batch, py::arg("states").noconvert(), py::arg("tokens"));
}

}  // namespace rwkv
