// SPDX-License-Identifier: Apache-2.0
#include "broker/core/priority_turns.h"

#include <algorithm>

#include "sdk/base/check.h"

namespace weir::core {

PriorityTurns::PriorityTurns(const std::vector<std::uint32_t>& weights) {
  for (const std::uint32_t weight : weights) lanes_.push_back({static_cast<double>(weight), 0, false});
}

std::optional<std::uint32_t> PriorityTurns::next(const std::vector<bool>& has) {
  WEIR_CHECK(has.size() == lanes_.size(), "each lane is asked for");
  std::optional<std::uint32_t> first;
  for (std::uint32_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = lanes_[i];
    if (has[i] && !lane.had) lane.due = std::max(lane.due, clock_);
    lane.had = has[i];
    // Of equals the more urgent one.
    if (has[i] && (!first || lane.due < lanes_[*first].due)) first = i;
  }
  return first;
}

void PriorityTurns::served(std::uint32_t lane, std::uint64_t records) {
  clock_ = lanes_[lane].due;
  lanes_[lane].due += static_cast<double>(records) / lanes_[lane].weight;
}

}  // namespace weir::core
