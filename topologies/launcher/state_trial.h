// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "sdk/base/result.h"

namespace weir::launcher {

/// What came of it that a stage library was given the state of a stage to read (weir-stage --try).
struct StateTried {
  std::uint64_t shards = 0;
  std::uint64_t values = 0;
  std::uint64_t unknown = 0;  ///< values of which the library does not say whether it can read them
};

/// Has `library` try the state of `stage` of the topology whose broker is at `endpoint`, in a process of its own.
/// Errors: kInvalid with the sentence of the library or of whoever else objects, or that it crashed.
Result<StateTried> try_state(const std::string& stage_program, const std::string& endpoint, const std::string& stage,
                             const std::string& library);

}  // namespace weir::launcher
