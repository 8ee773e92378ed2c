// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sdk/base/clock.h"

namespace weir::launcher {

/// When a process that died is started again, and when it is given up on. Pure: time is passed in.
class RestartPolicy {
 public:
  static constexpr int kDeathsMax = 5;
  /// Deaths in a row that are laid to records: so many more than a record is retried can only come of what no record
  /// explains, since the broker finds the one among 2^32 by halving.
  static constexpr int kRecordDeathsMax = 64;
  static constexpr Monotonic kLifeMin = std::chrono::seconds(10);
  static constexpr Monotonic kDelayMin = std::chrono::milliseconds(100);
  static constexpr Monotonic kDelayMax = std::chrono::seconds(5);

  enum class Death {
    kOutside,   ///< from outside, or its incarnation had lost its rights
    kOwnFault,  ///< by its own fault, in nothing that belongs to a record
    kHung,      ///< as kOwnFault, and it had lived long only because it hung
    kOfRecord,  ///< by its own fault while it processed a record: the broker judges the record
  };
  struct Verdict {
    bool give_up = false;
    Monotonic delay{0};  ///< how long to wait before the next start
  };

  void on_start(Monotonic now);
  /// It has got something done: earlier deaths no longer count.
  void on_commit() { proven_ = true; }
  /// Gives up after kDeathsMax deaths by its own fault in a row, without a commit and with less than kLifeMin of life
  /// between them. Any other death neither counts nor breaks the row. Every death in a row doubles the delay, but one
  /// that is laid to a record: it will not come again for long.
  Verdict on_death(Monotonic now, Death death, std::uint32_t retries = 0);

 private:
  Monotonic started_{0};
  Monotonic delay_ = kDelayMin;
  int deaths_ = 0;
  std::int64_t record_deaths_ = 0;
  bool proven_ = false;
};

/// Deaths by their own fault of all workers of a stage with libraries that have yet to prove themselves (`weir
/// upgrade`). What came between does not count: a version that dies at every thousandth record commits before each
/// death, and one that hangs may have lived for long. Pure.
class UpgradeDeaths {
 public:
  /// True: these libraries are to be given up.
  bool on_death(const std::string& libraries) {
    if (libraries != libraries_) over();
    libraries_ = libraries;
    return ++deaths_ >= RestartPolicy::kDeathsMax;
  }
  /// They have proven themselves, or are not wanted any more.
  void over() { deaths_ = 0; }

 private:
  std::string libraries_;
  int deaths_ = 0;
};

}  // namespace weir::launcher
