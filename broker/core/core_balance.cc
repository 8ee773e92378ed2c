// SPDX-License-Identifier: Apache-2.0
// What is a fair share of a stage's shards: measured by what each of them has to do.
#include <algorithm>

#include "broker/core/core.h"

namespace weir::core {

void Core::look_at_loads() {
  for (std::uint32_t index = 0; index < leases_.size(); ++index) {
    const UnitState& unit = ledger_.units()[index];
    LaneLoads& loads = leases_[index].loads;
    if (unit.intake() != Intake::kShards || unit.single() || unit.resting() || !loads.due(now_)) continue;
    std::vector<std::uint64_t> worked_off;
    worked_off.reserve(unit.lanes.size());
    for (const auto& lane : unit.lanes) {
      std::uint64_t records = 0;
      for (const Cursor& cursor : lane.cursors) records += cursor.offset;
      worked_off.push_back(records);
    }
    loads.look(now_, std::move(worked_off));
  }
}

Core::Sharing Core::sharing_of(std::uint32_t index) const {
  const UnitState& unit = ledger_.units()[index];
  const UnitLeases& leases = leases_[index];
  std::vector<const Worker*> workers;
  for (const auto& [incarnation, worker] : workers_) {
    if (worker.unit == index && worker.state == Worker::State::kReady && !worker.leaving) workers.push_back(&worker);
  }
  std::sort(workers.begin(), workers.end(), [&](const Worker* a, const Worker* b) { return stays_before(*a, *b); });
  std::vector<Incarnation> holders;
  holders.reserve(workers.size());
  for (const Worker* worker : workers) holders.push_back(worker->incarnation);
  std::vector<LeaseBalance::Lane> lanes(leases.lanes.size());
  for (std::uint32_t lane = 0; lane < lanes.size(); ++lane) {
    const LaneLease& lease = leases.lanes[lane];
    const auto holder = std::find(holders.begin(), holders.end(), lease.holder);
    if (holder != holders.end()) lanes[lane].holder = static_cast<std::uint32_t>(holder - holders.begin());
    lanes[lane].weight = leases.loads.weight(lane);
    lanes[lane].movable =
        lease.state == LaneLease::State::kHeld && !unit.lanes[lane].finished && unit.barrier(lane) == nullptr;
  }
  const auto all = static_cast<std::uint32_t>(holders.size());
  const std::uint32_t wanted = ledger_.workers(unit.stage());
  std::uint32_t staying = std::min(wanted, all);
  // No shard goes to a worker with an old library, and the first with the new one does not take all.
  const auto fit = static_cast<std::uint32_t>(std::count_if(
      workers.begin(), workers.end(), [&](const Worker* worker) { return runs_what_is_wanted(*worker); }));
  std::uint32_t lanes_max = UINT32_MAX;
  if (fit < staying) {
    staying = fit;
    lanes_max = static_cast<std::uint32_t>((lanes.size() + wanted - 1) / wanted);
  }
  return {std::move(holders), LeaseBalance(std::move(lanes), staying, all), staying, lanes_max};
}

std::optional<LeaseBalance::Move> Core::next_move(std::uint32_t index, const Sharing& sharing) const {
  auto move = sharing.balance.next();
  if (move) {
    const auto& lanes = sharing.balance.lanes();
    const auto has =
        std::count_if(lanes.begin(), lanes.end(), [&](const auto& lane) { return lane.holder == move->to; });
    if (has >= sharing.lanes_max) move.reset();
  }
  const auto& ahead = leases_[index].ahead;
  if (!move || !ahead) return move;
  // A copy that is on its way is not given up because another lane would be a little better by now.
  const auto to = std::find(sharing.holders.begin(), sharing.holders.begin() + sharing.staying, ahead->to);
  const LeaseBalance::Lane& lane = sharing.balance.lanes()[ahead->lane];
  const bool stays = to != sharing.holders.begin() + sharing.staying;
  const auto number = static_cast<std::uint32_t>(to - sharing.holders.begin());
  if (!stays || !lane.movable || !lane.holder || *lane.holder == number) return move;
  return LeaseBalance::Move{ahead->lane, *lane.holder, number};
}

std::uint32_t Core::shards_moving(std::uint32_t index) const {
  const UnitState& unit = ledger_.units()[index];
  if (unit.finished || unit.resting() || unit.intake() == Intake::kRanges) return 0;
  if (unit.intake() == Intake::kSplits) return splits_moving(index);
  const auto& lanes = leases_[index].lanes;
  std::uint32_t under_way = 0;
  for (std::uint32_t lane = 0; lane < lanes.size(); ++lane)
    under_way += lanes[lane].state != LaneLease::State::kHeld && !unit.lanes[lane].finished ? 1 : 0;
  return unit.single() ? under_way : under_way + sharing_of(index).balance.moves_left();
}

}  // namespace weir::core
