// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sdk/base/clock.h"

namespace weir::launcher {

/// When a process that died is started again, and when it is given up on. Pure: time is passed in.
class RestartPolicy {
 public:
  static constexpr int kDeathsMax = 5;
  static constexpr Monotonic kLifeMin = std::chrono::seconds(10);
  static constexpr Monotonic kDelayMin = std::chrono::milliseconds(100);
  static constexpr Monotonic kDelayMax = std::chrono::seconds(5);

  struct Verdict {
    bool give_up = false;
    Monotonic delay{0};  ///< how long to wait before the next start
  };

  void on_start(Monotonic now);
  /// It has got something done: earlier deaths no longer count.
  void on_commit() { proven_ = true; }
  /// Gives up after kDeathsMax deaths by its own fault in a row, without a commit and with less than kLifeMin of life
  /// between them. A death from outside neither counts nor breaks the row; every death in a row doubles the delay.
  Verdict on_death(Monotonic now, bool own_fault);

 private:
  Monotonic started_{0};
  Monotonic delay_ = kDelayMin;
  int deaths_ = 0;
  bool proven_ = false;
};

}  // namespace weir::launcher
