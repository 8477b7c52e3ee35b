// The extension module: arrays in, arrays out; no Python object is touched while a model runs.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "model.h"

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

std::unique_ptr<Model> load_model(const Shape& shape, int bits, int threads, const std::string& isa,
                                  const py::function& tensor) {
  Floats kept;  // what the last call gave: packing reads it
  return std::make_unique<Model>(
      shape, bits, threads, isa, [&](const std::string& name, std::size_t values) {
        kept = tensor(name).cast<Floats>();
        if (static_cast<std::size_t>(kept.size()) != values)
          throw std::invalid_argument(name + ": expected " + std::to_string(values) +
                                      " values, got " + std::to_string(kept.size()));
        return kept.data();
      });
}

// Memory to measure: as much as a token reads, in the pages that weights lie in.
class Memory {
 public:
  explicit Memory(std::size_t bytes)
      : arena_(bytes), count_(bytes / 512 * 128), values_(arena_.items<float>(count_)) {}

  float read() const {
    const py::gil_scoped_release released;
    return instruction_set("").read(values_, count_);
  }
  std::size_t bytes() const { return count_ * sizeof(float); }

 private:
  Arena arena_;
  std::size_t count_;
  const float* values_;
};

std::vector<std::string> names() {
  std::vector<std::string> names;
  for (const InstructionSet& set : instruction_sets()) names.push_back(set.name);
  return names;
}

}  // namespace

PYBIND11_MODULE(_native, module) {
  module.doc() = "RWKV-7/8 on the CPU. The door to it is rwkv_music.engine.native.";
  module.def("instruction_sets", &names, "Those that this processor runs, the best first.");
  py::class_<Memory>(module, "Memory", "For benchmarks: a block of memory that is only read.")
      .def(py::init<std::size_t>(), py::arg("bytes"))
      .def_property_readonly("bytes", &Memory::bytes)
      .def("read", &Memory::read);
  py::class_<Shape>(module, "Shape")
      .def(py::init<int, int, int, int, int, int, int, bool>(), py::kw_only(), py::arg("layers"),
           py::arg("width"), py::arg("vocabulary"), py::arg("rank_w"), py::arg("rank_a"),
           py::arg("rank_v"), py::arg("rank_g"), py::arg("enn"));
  py::class_<Model>(module, "Model")
      .def(py::init(&load_model), py::arg("shape"), py::arg("bits"), py::arg("threads"),
           py::arg("instruction_set"), py::arg("tensor"))
      .def_property_readonly("instruction_set", [](const Model& m) { return m.isa().name; })
      .def_property_readonly("bytes_per_token", &Model::bytes_per_token)
      .def("prefill", &prefill, py::arg("state").noconvert(), py::arg("tokens"))
      .def("step", &step, py::arg("state").noconvert(), py::arg("token"))
      .def("step_batch", &step_batch, py::arg("states").noconvert(), py::arg("tokens"));
}

}  // namespace rwkv
