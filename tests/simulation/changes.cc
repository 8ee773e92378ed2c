// SPDX-License-Identifier: Apache-2.0
// A topology that a person changes while nothing runs.
#include "sdk/topology/revise.h"
#include "tests/simulation/world.h"

namespace weir::simulation {

namespace {

constexpr const char* kExtra = "extra";

/// A second reader of the numbers; named last, so that all others keep their numbers.
StageSpec extra_sink() {
  StageSpec extra;
  extra.name = extra.plugin = kExtra;
  extra.kind = PluginKind::kSink;
  extra.sharing = Sharing::kShard;
  extra.inputs.push_back({"in", 0});
  extra.dead_letter_bytes_max = 1 << 20;
  extra.memory_bytes = 256 << 10;
  return extra;
}

}  // namespace

void World::stop() {
  if (now_ >= plan_.calm_from) return;
  later(Monotonic(static_cast<std::int64_t>(wishes_() % 2'000'000)), [this] { stop(); });
  with_core([&] { broker_->core->drain(now_); });
}

void World::change_topology() {
  Topology wanted = topology_;
  const auto workers = [&] { return static_cast<std::uint32_t>(1 + wishes_() % 3); };
  for (StageSpec& stage : wanted.stages) stage.workers = workers();
  for (StageSpec& stage : wanted.stages) stage.workers = wanted.stages[stage.host].workers;  // one chain, one number
  for (StageSpec& stage : wanted.stages) {
    if (plan_.pub_sub && stage.name == "pass") stage.workers = 1;  // each of several would get every number
  }
  for (StageSpec& stage : wanted.stages) {
    if (stage.name != "sum" || !plan_.parks || wishes_() % 2 == 0) continue;
    stage.then = OnErrorThen::kDeadLetter;  // what is parked stays so until it is worked off
    ++outcome_.parking_ended;
  }
  if (wishes_() % 2 == 0) {
    wanted.stages.push_back(extra_sink());
    wanted.stages.back().workers = workers();
    wanted.stages.back().host = static_cast<std::uint32_t>(wanted.stages.size() - 1);
  }
  wanted_ = std::move(wanted);
}

bool World::has_extra(const Topology& topology) {
  const StageSpec* extra = topology.find_stage(kExtra);
  return extra != nullptr && !extra->resting;
}

void World::revise_topology() {
  if (!wanted_) return;
  const bool had = has_extra(*topologies_.back());
  const auto revised = broker_->core->revise(*wanted_);
  if (!revised.ok()) {
    // Only a stage that comes back when its records are gone may be refused.
    if (had || !has_extra(*wanted_) || !extra_seen_)
      return problem("a change of the topology was refused: " + revised.error().message);
    ++outcome_.changes_refused;
    trace("refused", life_);
    wanted_ = topology_;  // the person leaves it out
    for (std::size_t stage = 0; stage < topology_.stages.size(); ++stage)
      wanted_->stages[stage].workers = topologies_.back()->stages[stage].workers;
    for (std::size_t stage = 0; stage < topology_.stages.size(); ++stage)
      wanted_->stages[stage].then = topologies_.back()->stages[stage].then;
    return revise_topology();
  }
  topologies_.push_back(std::make_unique<Topology>(without_resting(broker_->core->topology())));
  for (std::uint32_t stage = 0; stage < topology_.stages.size() && plan_.scales; ++stage)
    scales_.revise(stage, broker_->core->ledger().topology().stages[stage].workers, topology().stages[stage].workers);
  workers_told_.clear();
  const bool has = has_extra(topology());
  extra_seen_ = extra_seen_ || has;
  if (!std::exchange(launch_due_, false)) return;
  ++outcome_.changes;
  if (has && !had) ++outcome_.stages_added;
  if (had && !has) ++outcome_.stages_left_out;
  start_workers();
}

void World::check_extra() {
  std::set<std::uint64_t> numbers;
  for (auto target = targets_.lower_bound(kExtraTargets); target != targets_.end(); ++target) {
    const std::uint32_t shard = target->first - kExtraTargets;
    std::optional<std::uint64_t> expected;
    for (const Target::Record& record : target->second.records) {
      const std::string at = " (numbers/" + std::to_string(shard) + "/" + std::to_string(record.offset) + ")";
      if (expected.value_or(record.offset) != record.offset)
        return problem("a sink that was added has a record twice or lacks one (I1)" + at);
      expected = record.offset + 1;
      const std::uint64_t number = record.count;
      const std::uint64_t all = plan_.learns_boundaries ? plan_.numbers_all() : plan_.numbers;
      if (number >= all || number % plan_.keys != record.key)
        return problem("a sink that was added has what nobody sent" + at);
      if (!numbers.insert(number).second && plan_.replayed != Replayed::kPass && !plan_.acknowledged)
        return problem("a sink that was added has a number twice (I1)" + at);
    }
    const std::uint64_t end = broker_->core->ledger().stream(0).next_offset(shard);
    if (has_extra(topology()) && expected && *expected != end)
      return problem("a sink that was added stopped before the end");
  }
}

}  // namespace weir::simulation
