// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sdk/base/result.h"
#include "weir/abi.h"

namespace weir::simulation {

/// The stages that workers of the simulation run, written as a user would write them: a source of numbers, a stage that
/// passes them on, one that sums them by key, one that counts behind it, and sinks whose target outlives all processes.
/// Every record's value is a list of three numbers. Errors: kNotFound.
Result<const weir_descriptor*> find_model_stage(const std::string& name);

}  // namespace weir::simulation
