// Which instruction sets this build knows, and which of them this processor has.
#pragma once

#include <string>
#include <vector>

#include "forward.h"

namespace rwkv {

// Those that run here, the best first; "scalar" is always among them.
const std::vector<InstructionSet>& instruction_sets();

// The named one, the best for "". Throws std::invalid_argument for one that does not run here.
const InstructionSet& instruction_set(const std::string& name);

}  // namespace rwkv
