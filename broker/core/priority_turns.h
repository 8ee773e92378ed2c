// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace weir::core {

/// Whose turn it is among the lanes of a stream that is dispatched by priority: while lanes wait, each is served
/// records in proportion to its weight. A lane that is served r records must wait for no more than r x (the others'
/// weights) / (its weight) of the others', and one range of each that is under way, so that none starves (start-time
/// fair queueing, Goyal, Vin and Cheng 1996). What a lane does not use is not saved up. Nothing here is durable: a
/// start begins anew.
class PriorityTurns {
 public:
  explicit PriorityTurns(const std::vector<std::uint32_t>& weights);

  /// Of the lanes that have something: the one to serve. Nothing where none has. REQUIRES: as many as weights.
  std::optional<std::uint32_t> next(const std::vector<bool>& has);
  void served(std::uint32_t lane, std::uint64_t records);

 private:
  struct Lane {
    double weight = 1;
    double due = 0;  ///< on the clock that every lane moves by its records / weight
    bool had = false;
  };
  std::vector<Lane> lanes_;
  double clock_ = 0;  ///< `due` of the lane that was served last, before it was
};

}  // namespace weir::core
