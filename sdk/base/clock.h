// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

namespace weir {

/// Time that only moves forward, in microseconds from an arbitrary start. Passed in wherever a decision depends on it,
/// so that a simulation can own it.
using Monotonic = std::chrono::microseconds;

/// The machine's monotonic clock. [any thread]
inline Monotonic monotonic_now() {
  return std::chrono::duration_cast<Monotonic>(std::chrono::steady_clock::now().time_since_epoch());
}

/// Wall clock in microseconds since 1970-01-01T00:00:00Z. [any thread]
inline std::int64_t wall_now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace weir
