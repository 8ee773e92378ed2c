// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "sdk/base/clock.h"
#include "sdk/topology/topology.h"
#include "stages/host/at_work.h"

namespace weir::host {

/// Ends what takes longer than the `deadline` of its stage: one record of process or write, or one call of any other
/// function. Time in which the whole process stood still does not count. Thread: its own ("watchdog"), if any of its
/// stages has a deadline. Lifetime: `work` and `topology` must outlive it.
class Watchdog {
 public:
  /// `bite` is told what was being done; it should not return. [watchdog]
  Watchdog(const Topology& topology, const std::vector<std::uint32_t>& stages, AtWork& work,
           std::function<void(const std::string&)> bite);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// How long `stage` may be at `doing`; nothing: as long as it likes.
  static std::optional<Monotonic> limit(const StageSpec& stage, wire::Doing doing);

  /// Says so and ends the process with Exit::kDeadline.
  [[noreturn]] static void kill(const std::string& sentence);

 private:
  /// What is being done, as far as it can be told from outside.
  struct Seen {
    wire::Doing doing = wire::Doing::kNothing;
    std::uint64_t turn = 0;
    std::uint32_t stage = 0;
    std::uint32_t record = 0;
    friend bool operator==(const Seen&, const Seen&) = default;
  };
  void run();
  [[nodiscard]] Seen look() const;

  const Topology& topology_;
  AtWork& work_;
  std::function<void(const std::string&)> bite_;
  Monotonic period_{0};  ///< 0: nothing here has a deadline
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace weir::host
