// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "sdk/base/result.h"
#include "topologies/bench/hash_map_loop.h"
#include "topologies/bench/measurement.h"

namespace weir::bench {

/// The awk of PATH; nothing where there is none.
std::optional<std::string> find_awk();

/// The same by awk, over the same lines. `records` is how many the file holds. Errors: kIo, also where awk is missing.
Result<Measurement> awk_over_words(const std::string& path, std::uint64_t records, Totals& totals);
Result<Measurement> awk_over_records(const std::string& path, std::uint64_t records, Totals& totals);

}  // namespace weir::bench
