// SPDX-License-Identifier: Apache-2.0
#include "stages/generate/pace.h"

#include <algorithm>

namespace weir::generate {

std::uint64_t Pace::due(Time now) {
  if (!rate_) return UINT64_MAX;
  if (!start_) start_ = now;
  const double seconds = std::chrono::duration<double>(now - *start_).count();
  const double expected = std::min(seconds * *rate_ + 1, 1e18);  // the first is due at once
  const double behind = expected - static_cast<double>(emitted_);
  const double kept_max = std::max(*rate_, 1.0);
  if (behind > kept_max) {
    start_ = now;
    emitted_ = 0;
    return static_cast<std::uint64_t>(kept_max);
  }
  return behind < 1 ? 0 : static_cast<std::uint64_t>(behind);
}

}  // namespace weir::generate
