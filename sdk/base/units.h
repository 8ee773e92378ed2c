// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "sdk/base/result.h"

namespace weir {

/// "50ms" -> 50,000 us. Units: us ms s m h, one number, digits and at most one point. Errors: kInvalid, naming `text`.
Result<std::chrono::microseconds> parse_duration(std::string_view text);

/// "64MiB" -> 67,108,864. Units: B KiB MiB GiB TiB, one number, digits and at most one point. Errors: kInvalid, naming
/// `text`.
Result<std::uint64_t> parse_size(std::string_view text);

/// 67,108,864 -> "64MiB": the largest unit that leaves a whole number.
std::string format_size(std::uint64_t bytes);

}  // namespace weir
