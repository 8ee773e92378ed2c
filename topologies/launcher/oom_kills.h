// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sdk/base/clock.h"

namespace weir::launcher {

/// Tells a SIGKILL by the kernel's OOM killer from one that somebody has sent: the memory cgroup counts the former of
/// its own processes, whatever limit or machine was out of memory. Each that was counted explains one death, of those
/// that are noticed within kFreshMin to kFreshMax of it. Where there is no counter, every SIGKILL is somebody's. Time
/// is passed in.
class OomKills {
 public:
  static constexpr Monotonic kFreshMin = std::chrono::seconds(5);
  static constexpr Monotonic kFreshMax = 2 * kFreshMin;

  /// `counter`: a file with a line "oom_kill N".
  explicit OomKills(std::string counter);

  /// Looks at the counter when it is due; to be called more often than every kFreshMin, behind the deaths of that turn.
  void watch(Monotonic now);
  /// A child has died by SIGKILL: whether an OOM kill was counted lately that explains no other death.
  [[nodiscard]] bool take();

 private:
  [[nodiscard]] std::optional<std::uint64_t> count() const;

  std::string counter_;
  std::optional<std::uint64_t> explained_;  ///< so many were counted that are old, or have explained a death
  std::optional<std::uint64_t> seen_;       ///< when it was looked at last
  std::optional<Monotonic> looked_at_;
};

/// The counter of this process's memory cgroup: memory.oom_control of version 1, memory.events of version 2. `cgroup`
/// and `mountinfo` are what is in /proc/self of these names. "" where there is none.
std::string oom_counter_of(std::string_view cgroup, std::string_view mountinfo);
std::string own_oom_counter();

}  // namespace weir::launcher
