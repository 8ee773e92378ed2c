// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "topologies/bench/digest.h"
#include "topologies/bench/workload.h"

namespace weir::bench {

/// What a sink must get, computed without Weir.
Digest expect_records(const Workload& workload);         ///< the records themselves
Digest expect_totals(const Workload& workload);          ///< the sum of each key
Digest expect_running_totals(const Workload& workload);  ///< the sum so far after each record
/// The records, each with the moment at which it is due for its number.
Digest expect_paced(const Workload& workload, double rate, std::uint64_t started_ns);
Digest expect_numbers(const Workload& workload);  ///< each record's number alone
Digest expect_sums(std::int64_t to);              ///< of the numbers from 1, each under itself modulo `to`
Digest expect_counts(const std::unordered_map<std::string, std::uint64_t>& counts);

}  // namespace weir::bench
