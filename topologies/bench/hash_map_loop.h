// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "sdk/base/result.h"
#include "topologies/bench/measurement.h"

namespace weir::bench {

using Totals = std::unordered_map<std::string, std::uint64_t>;

/// What one writes by hand: a process with one thread reads lines and keeps a hash map. Nothing is kept that outlives
/// it. Both return what was measured, with `totals` as found. Errors: kIo.
Result<Measurement> loop_over_words(const std::string& path, Totals& totals);
Result<Measurement> loop_over_records(const std::string& path, Totals& totals);

/// The totals in a file of lines `KEY TOTAL`. Errors: kIo.
Result<Totals> read_totals(const std::string& path);

}  // namespace weir::bench
