// SPDX-License-Identifier: Apache-2.0
// The number of workers that a stage is to have, which a person changes while it runs.
#include <fmt/format.h>

#include <algorithm>

#include "broker/core/core.h"
#include "sdk/topology/resolved_file.h"
#include "sdk/topology/revise.h"

namespace weir::core {

using wire::MessageType;
using wire::Refusal;

std::optional<std::string> Core::why_no_scale(std::uint32_t stage, std::int64_t workers) const {
  const StageSpec& spec = topology_.stages[stage];
  if (spec.resting) return fmt::format("\"{}\" rests: it is in the data directory, and not in the topology", spec.name);
  if (spec.host != stage) {
    return fmt::format("stage \"{0}\" is fused to \"{1}\" and has no workers of its own: scale \"{1}\"", spec.name,
                       topology_.stages[spec.host].name);
  }
  const UnitState& unit = ledger_.units()[ledger_.unit_of(stage)];
  if (draining_ || stopping_) return "the topology is stopping: scale when it runs again";
  if (unit.finished) return fmt::format("stage \"{}\" has finished: workers would find nothing to do", spec.name);
  if (workers < 1) return fmt::format("stage \"{}\" cannot have {} workers: it keeps one at least", spec.name, workers);
  if (spec.workers_max != 0 && (workers < spec.workers || workers > spec.workers_max)) {
    return fmt::format("stage \"{}\" follows its load with {} to {} workers: it cannot have {}", spec.name,
                       spec.workers, spec.workers_max, workers);
  }
  const std::uint32_t most = unit.workers_max();
  if (workers <= most) return std::nullopt;
  if (unit.single()) {
    return fmt::format("stage \"{}\" writes to one target, which one worker has at a time: it cannot have {} workers",
                       spec.name, workers);
  }
  if (unit.intake() == Intake::kShards && most < kWorkersMax) {
    return fmt::format(
        "stage \"{}\" has {} shard{} to share, so that of {} workers some would be idle: scale it to {} at most",
        spec.name, most, most == 1 ? "" : "s", workers, most);
  }
  return fmt::format("stage \"{}\" cannot have {} workers: {} are the most that a stage may have", spec.name, workers,
                     most);
}

std::map<std::uint32_t, std::uint32_t> Core::workers_wanted() const {
  std::map<std::uint32_t, std::uint32_t> wanted;
  for (const UnitState& unit : ledger_.units()) {
    if (!unit.resting()) wanted[unit.stage()] = ledger_.workers(unit.stage());
  }
  return wanted;
}

void Core::scale(const Client& client, const wire::MapReader& map) {
  const std::string name = map.text("stage");
  const StageSpec* spec = topology_.find_stage(name);
  if (spec == nullptr) {
    return refuse(client, Refusal::kUnknown,
                  fmt::format("the topology \"{}\" has no stage \"{}\"", topology_.name, name));
  }
  const auto stage = static_cast<std::uint32_t>(spec - topology_.stages.data());
  const std::int64_t workers = map.integer("workers", 0);
  if (const auto why_not = why_no_scale(stage, workers)) return refuse(client, Refusal::kInvalid, *why_not);
  const std::uint32_t before = ledger_.workers(stage);
  const auto wanted = static_cast<std::uint32_t>(workers);
  if (wanted != before) want_workers(stage, wanted, Scaled::By::kPerson, "a person wants it");
  wire::MapWriter answer("scaled");
  answer.put("workers", std::uint64_t{wanted});
  answer.put("before", std::uint64_t{before});
  letter_answers_.push_back({client, ledger_.next_sequence(), std::move(answer).finish()});
  settle_letters();
}

void Core::want_workers(std::uint32_t stage, std::uint32_t workers, Scaled::By by, std::string why) {
  append({EntryType::kScaled, {}, stage, 0}, encode(Scaled{workers, by}), Durability::kFsync);
  tell_topology();
  UnitLeases& leases = leases_[ledger_.unit_of(stage)];
  leases.dirty = true;
  if (leases.follower) leases.follower->on_wanted(why);
  outside_.notify({Notice::Kind::kScaled, stage, 0, 0, std::move(why), workers});
}

void Core::tell_topology() {
  Topology told = without_resting(topology_);
  for (StageSpec& stage : told.stages) stage.workers = ledger_.workers(stage.host);
  topology_text_ = encode_resolved(told);
}

bool Core::stays_before(const Worker& a, const Worker& b) const {
  const bool a_fits = runs_what_is_wanted(a);
  const bool b_fits = runs_what_is_wanted(b);
  return a_fits != b_fits ? a_fits : a.index < b.index;
}

std::vector<Worker*> Core::superfluous(std::uint32_t unit) {
  std::vector<Worker*> workers = workers_of(unit);
  std::erase_if(workers, [](const Worker* each) { return each->leaving; });
  const std::size_t wanted = ledger_.workers(ledger_.units()[unit].stage());
  if (workers.size() <= wanted) return {};
  std::sort(workers.begin(), workers.end(), [&](const Worker* a, const Worker* b) { return stays_before(*a, *b); });
  workers.erase(workers.begin(), workers.begin() + static_cast<std::ptrdiff_t>(wanted));
  return workers;
}

void Core::let_superfluous_go(std::uint32_t index) {
  const UnitState& unit = ledger_.units()[index];
  const auto& lanes = leases_[index].lanes;
  for (Worker* worker : superfluous(index)) {
    // Shards go one at a time first, so that the others hardly notice; all else goes at once.
    bool has_shards = false;
    for (std::uint32_t lane = 0; lane < lanes.size() && unit.intake() == Intake::kShards; ++lane) {
      const bool held = lanes[lane].holder == worker->incarnation && !unit.single();
      has_shards |= held && !(lanes[lane].state == LaneLease::State::kHeld && unit.lanes[lane].finished);
    }
    if (has_shards) continue;
    worker->replaced = true;
    let_go(*worker);
  }
}

}  // namespace weir::core
