// SPDX-License-Identifier: Apache-2.0
#include "broker/core/lease_balance.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace weir::core {

std::vector<double> LeaseBalance::loads() const {
  std::vector<double> loads(holders_);
  for (const Lane& lane : lanes_) {
    if (lane.holder) loads[*lane.holder] += lane.weight;
  }
  return loads;
}

std::optional<LeaseBalance::Move> LeaseBalance::next() const {
  if (staying_ == 0) return std::nullopt;
  const std::vector<double> loads = this->loads();
  const auto to = static_cast<std::uint32_t>(std::min_element(loads.begin(), loads.begin() + staying_) - loads.begin());
  for (std::uint32_t lane = static_cast<std::uint32_t>(lanes_.size()); lane-- > 0;) {
    const Lane& each = lanes_[lane];
    if (each.holder && *each.holder >= staying_ && each.movable) return Move{lane, *each.holder, to};
  }
  const bool measured = std::any_of(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return lane.weight != 1; });
  const double mean = std::accumulate(loads.begin(), loads.begin() + staying_, 0.0) / staying_;
  // Whoever has most gives, or, if that is one lane's doing, who has most of the others.
  std::vector<std::uint32_t> givers(staying_);
  std::iota(givers.begin(), givers.end(), 0);
  std::stable_sort(givers.begin(), givers.end(), [&](auto a, auto b) { return loads[a] > loads[b]; });
  for (const std::uint32_t from : givers) {
    const double difference = loads[from] - loads[to];
    if (measured && difference <= kNoise * mean) return std::nullopt;
    std::optional<Move> best;
    double left_least = difference;
    for (std::uint32_t lane = static_cast<std::uint32_t>(lanes_.size()); lane-- > 0;) {
      const Lane& each = lanes_[lane];
      if (each.holder != from || !each.movable || each.weight * kWorthIt >= difference) continue;
      const double left = std::abs(difference - 2 * each.weight);
      if (left >= left_least) continue;
      left_least = left;
      best = Move{lane, from, to};
    }
    if (best) return best;
  }
  return std::nullopt;
}

std::uint32_t LeaseBalance::moves_left() const {
  LeaseBalance after = *this;
  std::uint32_t moves = 0;
  // Each makes a difference smaller, so that they end; no lane needs to move more often than once on the average.
  for (auto move = after.next(); move && moves < lanes_.size(); move = after.next(), ++moves) after.apply(*move);
  return moves;
}

}  // namespace weir::core
