// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "sdk/base/clock.h"

namespace weir::core {

/// How much each lane of a stage has to do lately, by the records that were worked off of it: what a fair share is
/// measured by. Reads no clock. Thread: the core's.
class LaneLoads {
 public:
  static constexpr Monotonic kLookEvery{1'000'000};
  /// What the newest look counts among all: half of what is known is from the last three seconds.
  static constexpr double kNewest = 0.2;
  /// Part of a lane's weight that it has whether records come or not.
  static constexpr double kAtRest = 0.1;

  /// `records_min`: with fewer a second over all lanes chance would decide, and all weigh the same.
  explicit LaneLoads(std::uint64_t records_min) : records_min_(records_min) {}

  [[nodiscard]] bool due(Monotonic now) const { return now - looked_ >= kLookEvery; }
  /// `worked_off`: by lane, records since ever. One that has less than before was set back, and counts as idle.
  void look(Monotonic now, std::vector<std::uint64_t> worked_off);

  /// 1 on the average.
  [[nodiscard]] double weight(std::uint32_t lane) const { return lane < weights_.size() ? weights_[lane] : 1; }

 private:
  std::uint64_t records_min_;
  Monotonic looked_{0};
  std::vector<std::uint64_t> before_;
  std::vector<double> rates_;    ///< records a second
  std::vector<double> weights_;  ///< empty: all the same
};

}  // namespace weir::core
