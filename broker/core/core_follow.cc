// SPDX-License-Identifier: Apache-2.0
// Stages whose number of workers follows their load.
#include "broker/core/core.h"

namespace weir::core {

std::optional<LoadFollower::Sight> Core::sight_of(std::uint32_t index) const {
  const UnitState& unit = ledger_.units()[index];
  LoadFollower::Sight sight;
  std::uint32_t others = 0;
  double busy = 0;
  for (const auto& [incarnation, worker] : workers_) {
    if (worker.unit != index || worker.trial) continue;
    if (worker.state != Worker::State::kReady || worker.leaving) {
      ++others;
      continue;
    }
    ++sight.workers;
    const auto probe = stage_probes_.find({unit.stage(), worker.index});
    if (probe != stage_probes_.end()) busy += probe->second.busy_ratio;
  }
  const bool changing = others != 0 || sight.workers != ledger_.workers(unit.stage()) || shards_moving(index) != 0;
  if (changing || low_on_space()) return std::nullopt;
  sight.busy_ratio = busy / sight.workers;
  sight.backlog = unit.records_backlog;
  return sight;
}

void Core::follow_load() {
  if (draining_ || stopping_) return;
  for (std::uint32_t index = 0; index < leases_.size(); ++index) {
    auto& follower = leases_[index].follower;
    if (!follower || leases_[index].stopped || ledger_.units()[index].finished || !follower->due(now_)) continue;
    auto decision = follower->look(now_, sight_of(index));
    if (!decision) continue;
    want_workers(ledger_.units()[index].stage(), decision->workers, Scaled::By::kLoad, std::move(decision->why));
  }
}

}  // namespace weir::core
