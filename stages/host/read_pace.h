// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "sdk/base/clock.h"

namespace weir::host {

/// How long a source that had nothing is left alone before it is read again: a part of the time that lies between its
/// records of late, so that each is found soon after it is due, and ever longer while nothing comes. Pure: time is
/// passed in.
class ReadPace {
 public:
  static constexpr Monotonic kShortest{50};
  static constexpr Monotonic kFirstMax{1'000};
  static constexpr Monotonic kLongest{20'000};

  void on_found(Monotonic now) {
    // Of those that come close together; after a pause the next ones may again.
    if (found_at_.count() != 0 && now - found_at_ < kLongest) gap_ += (now - found_at_ - gap_) / 8;
    found_at_ = now;
    empty_ = 0;
  }
  void on_nothing() { ++empty_; }
  /// There may be something now.
  void hurry() { empty_ = 0; }

  [[nodiscard]] Monotonic wait() const {
    if (empty_ == 0) return Monotonic{0};
    const Monotonic first = std::clamp(gap_ / 8, kShortest, kFirstMax);
    return std::min(first * (1 << std::min(empty_ / 8, kDoublingsMax)), kLongest);
  }

 private:
  static constexpr std::uint32_t kDoublingsMax = 9;  ///< from the shortest to the longest

  Monotonic found_at_{0};
  Monotonic gap_ = 8 * kFirstMax;  ///< between two finds
  std::uint32_t empty_ = 0;        ///< reads in a row that found nothing
};

}  // namespace weir::host
