// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace weir::core {

/// Who holds the lanes of a stage, and which goes to whom next, so that nobody has more to do than need be. Lanes move
/// one at a time: the next step is asked for when the last one is done.
class LeaseBalance {
 public:
  /// A move must make the difference between giver and taker smaller, and by so much that what is measured a moment
  /// later does not take it back.
  static constexpr double kWorthIt = 1.25;
  /// Nor is a difference looked at, where weights are measured, that is so small a part of the mean load.
  static constexpr double kNoise = 0.1;

  struct Lane {
    std::optional<std::uint32_t> holder;
    double weight = 1;
    bool movable = true;
  };
  struct Move {
    std::uint32_t lane = 0;
    std::uint32_t from = 0;
    std::uint32_t to = 0;
  };

  /// Holders are numbers: those below `staying` stay, others up to `holders` go, and give everything away.
  LeaseBalance(std::vector<Lane> lanes, std::uint32_t staying, std::uint32_t holders)
      : lanes_(std::move(lanes)), staying_(staying), holders_(holders) {}

  [[nodiscard]] const std::vector<Lane>& lanes() const { return lanes_; }
  [[nodiscard]] std::optional<Move> next() const;
  void apply(const Move& move) { lanes_[move.lane].holder = move.to; }
  /// How many moves are left until none is worth it.
  [[nodiscard]] std::uint32_t moves_left() const;

 private:
  [[nodiscard]] std::vector<double> loads() const;

  std::vector<Lane> lanes_;
  std::uint32_t staying_;
  std::uint32_t holders_;
};

}  // namespace weir::core
