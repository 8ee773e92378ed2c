// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "sdk/base/clock.h"

namespace weir::core {

/// How many workers a stage is to have whose number follows its load. More, when those it has were busy all the time
/// for a while and what waits did not become less; fewer, one at a time, when for a longer while one less would have
/// been half idle still. What lies between the two keeps it from going to and fro.
/// Reads no clock. Thread: the core's.
class LoadFollower {
 public:
  static constexpr Monotonic kLookEvery{500'000};
  static constexpr Monotonic kMoreAfter{2'000'000};
  static constexpr Monotonic kFewerAfter{10'000'000};
  static constexpr double kBusy = 0.8;
  static constexpr double kHalfIdle = 0.5;

  /// What it goes by: the wanted number runs, and its workers share the shards evenly.
  struct Sight {
    std::uint32_t workers = 0;
    double busy_ratio = 0;      ///< the mean of theirs
    std::uint64_t backlog = 0;  ///< records
  };
  struct Decision {
    std::uint32_t workers = 0;
    std::string why;
  };

  LoadFollower(std::uint32_t least, std::uint32_t most) : least_(least), most_(most) {}

  [[nodiscard]] bool due(Monotonic now) const { return now - looked_ >= kLookEvery; }
  /// Nothing: it stays as it is. Without a sight nothing counts that was seen before.
  std::optional<Decision> look(Monotonic now, const std::optional<Sight>& sight);

  /// Another number is wanted, and why.
  void on_wanted(std::string why) {
    why_ = std::move(why);
    busy_.reset();
    idle_.reset();
  }
  /// Of the last decision since the broker started, whoever took it; "" for none.
  [[nodiscard]] const std::string& why() const { return why_; }

 private:
  /// Something has been so, without a break.
  struct Since {
    Monotonic begun{0};
    std::uint64_t backlog = 0;  ///< then
  };

  std::uint32_t least_;
  std::uint32_t most_;
  Monotonic looked_{0};
  std::optional<Since> busy_;
  std::optional<Since> idle_;
  std::string why_;
};

}  // namespace weir::core
