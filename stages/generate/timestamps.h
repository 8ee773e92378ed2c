// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "weir/token.h"

namespace weir::generate {

/// `start` + `index` * `interval`, or the end of time where that lies behind it.
inline Timestamp timestamp_at(Timestamp start, std::uint64_t index, std::int64_t interval_us) {
  Timestamp passed = 0;
  Timestamp at = 0;
  if (__builtin_mul_overflow(index, interval_us, &passed) || __builtin_add_overflow(start, passed, &at)) {
    return INT64_MAX - 1;
  }
  return at;
}

}  // namespace weir::generate
