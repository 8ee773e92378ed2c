// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "weir/config.h"

namespace weir::generate {

/// How many records are due at a rate, by a clock that is passed in. Starts with its first question. What could not be
/// taken in time is caught up with, but not more than a second's worth.
class Pace {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// Without `rate` (records a second) any number is due.
  explicit Pace(std::optional<double> rate) : rate_(rate) {}
  /// Takes `rate` from the configuration.
  explicit Pace(const Config& config)
      : rate_(config.contains("/rate") ? std::optional(config.get<double>("/rate")) : std::nullopt) {}

  /// How many may be emitted now.
  std::uint64_t due(Time now);
  void emitted(std::uint64_t count) { emitted_ += count; }

 private:
  std::optional<double> rate_;
  std::optional<Time> start_;
  std::uint64_t emitted_ = 0;  ///< since start_
};

}  // namespace weir::generate
