// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "sdk/base/clock.h"

namespace weir::host {

/// How long a source that had nothing is left alone before it is read again: a part of the time that lies between its
/// records of late, so that each is found soon after it is due, and ever longer while nothing comes. After a commit for
/// some times as long as that took, since whoever gets it has as much to do with it: where records come quickly, or the
/// machine is busy, some are found at once and become one transaction, before all that are behind the source have a
/// record each to commit and no time for it. Pure: time is passed in.
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
  /// What was found is committed, `took` after it was begun. Where a read waits for its records itself that is more
  /// than the commit took, but counts for no more than kFirstMax.
  void on_committed(Monotonic took) { took_eight_ += std::min(took, kFirstMax) - took_eight_ / 8; }
  /// There may be something now.
  void hurry() { empty_ = 0; }

  [[nodiscard]] Monotonic wait(Monotonic now) const {
    if (empty_ == 0) return Monotonic{0};
    const Monotonic first = std::clamp(gap_ / 8, kShortest, kFirstMax);
    const Monotonic rest = found_at_ + std::min(kRestOfEight * took_eight_, kFirstMax) - now;
    return std::max(std::min(first * (1 << std::min(empty_ / 8, kDoublingsMax)), kLongest), rest);
  }

 private:
  static constexpr int kRestOfEight = 2;             ///< times as long as eight commits
  static constexpr std::uint32_t kDoublingsMax = 9;  ///< from the shortest to the longest

  Monotonic found_at_{0};
  Monotonic gap_ = 8 * kFirstMax;  ///< between two finds
  Monotonic took_eight_{0};        ///< eight times from a find to its commit
  std::uint32_t empty_ = 0;        ///< reads in a row that found nothing
};

}  // namespace weir::host
