// SPDX-License-Identifier: Apache-2.0
#include "broker/core/lane_loads.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace weir::core {

void LaneLoads::look(Monotonic now, std::vector<std::uint64_t> worked_off) {
  const double seconds = static_cast<double>((now - looked_).count()) / 1e6;
  looked_ = now;
  const bool first = before_.size() != worked_off.size();
  if (first) rates_.assign(worked_off.size(), 0);
  for (std::size_t lane = 0; lane < worked_off.size() && !first; ++lane) {
    const std::uint64_t records = worked_off[lane] - std::min(before_[lane], worked_off[lane]);
    rates_[lane] += kNewest * (static_cast<double>(records) / seconds - rates_[lane]);
  }
  before_ = std::move(worked_off);
  const double sum = std::accumulate(rates_.begin(), rates_.end(), 0.0);
  weights_.clear();
  if (sum < static_cast<double>(records_min_) || sum == 0) return;
  const double mean = sum / static_cast<double>(rates_.size());
  for (const double rate : rates_) weights_.push_back(kAtRest + (1 - kAtRest) * rate / mean);
}

}  // namespace weir::core
