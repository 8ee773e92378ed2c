// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "sdk/base/result.h"
#include "topologies/bench/workload.h"

namespace weir::bench {

/// Writes lines of twelve words out of 20,000, `bytes` or a line more in all; the same each time. Returns its size.
/// Errors: kIo.
Result<std::uint64_t> write_words(const std::string& path, std::uint64_t bytes);

/// Writes a line `KEY NUMBER PADDING` for each record of the workload, as long as the record. Errors: kIo.
Status write_records(const std::string& path, const Workload& workload);

}  // namespace weir::bench
