// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace weir::bench {

/// Writes `{"started_ns": now}` to `path`: when the first source of a topology was first read. Returns
///  that moment. Errors: Fatal.
std::uint64_t write_start(const std::string& path);

}  // namespace weir::bench
