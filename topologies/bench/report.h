// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "topologies/bench/bench.h"
#include "topologies/bench/measurement.h"

namespace weir::bench {

/// The tables for a person, one per durability, the baselines first.
std::string to_table(const Plan& plan, const std::vector<Measurement>& measured);

/// The same for a program (README.md, "What --json prints").
nlohmann::ordered_json to_json(const Plan& plan, const std::vector<Measurement>& measured);

}  // namespace weir::bench
