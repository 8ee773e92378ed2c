// SPDX-License-Identifier: Apache-2.0
// A person who gives stages another number of workers while they run, and the launcher that starts them.
#include <algorithm>
#include <vector>

#include "sdk/wire/map.h"
#include "tests/simulation/worker_process.h"
#include "tests/simulation/world.h"

namespace weir::simulation {

void World::scale() {
  if (now_ >= plan_.calm_from) return;
  later(Monotonic(static_cast<std::int64_t>(wishes_() % 1'000'000)), [this] { scale(); });
  std::vector<std::uint32_t> stages;
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) {
    if (topology_.stages[stage].host == stage) stages.push_back(stage);
  }
  std::uint32_t stage = stages[wishes_() % stages.size()];
  if (plan_.moves && wishes_() % 2 == 0) stage = 0;  // the source
  const auto workers = static_cast<std::uint32_t>(1 + wishes_() % 5);
  const bool crashes = plan_.kills && wishes_() % 4 == 0;
  const std::uint64_t when = 1 + wishes_() % 8;
  if (!broker_ || !broker_->core) return;
  const core::Client client = kPerson + std::to_string(++wishes_said_);
  scales_.ask(client, stage, workers);
  trace("scale", stage);
  wire::MapWriter request("scale");
  request.put("stage", topology_.stages[stage].name);
  request.put("workers", workers);
  with_core([&] { broker_->core->on_client(client, std::move(request).finish(), now_); });
  // The most interesting moment for a crash.
  if (crashes) disk_.crash_after(when);
}

void World::answered_about_workers(const core::Client& client, const wire::MapReader& answer) {
  if (answer.op() == "refused") {
    ++outcome_.scales_refused;
    return scales_.refused(client);
  }
  ++outcome_.scales;
  scales_.done(client);
}

void World::check_workers() {
  if (!plan_.scales) return;
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) {
    if (topology_.stages[stage].host != stage) continue;
    const std::uint32_t found = broker_->core->ledger().workers(stage);
    if (life_ == 1) scales_.revise(stage, 0, topology_.stages[stage].workers);
    if (!scales_.may_find(stage, found)) {
      return problem("stage " + topology_.stages[stage].name + " is to have " + std::to_string(found) +
                     " workers after a start, which nobody wanted last");
    }
    scales_.found(stage, found);
  }
}

std::uint32_t World::wanted_workers(std::uint32_t stage) const {
  const auto told = workers_told_.find(stage);
  return told == workers_told_.end() ? topology().stages[stage].workers : told->second;
}

bool World::is_there(std::uint32_t stage, std::uint32_t index) const {
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    return entry.second->alive() && entry.second->stage() == stage && entry.second->index() == index &&
           entry.second->says() == libraries_of(stage);
  });
}

void World::launch_missing() {
  if (!plan_.scales && !plan_.upgrades) return;
  std::map<std::uint32_t, std::uint32_t> wanted = workers_told_;
  for (std::uint32_t stage = 0; stage < topology_.stages.size() && plan_.upgrades; ++stage) {
    if (topology_.stages[stage].host == stage) wanted[stage] = wanted_workers(stage);
  }
  for (const auto& [stage, number] : wanted) {
    if (stages_finished_.contains(stage)) continue;
    for (std::uint32_t index = 0; index < number; ++index) {
      if (!is_there(stage, index)) start_worker_later(stage, index);
    }
  }
}

void World::start_worker_later(std::uint32_t stage, std::uint32_t index) {
  if (!starts_due_.emplace(stage, index).second) return;
  later(micros(300'000), [this, stage, index, launch = launch_] {
    if (launch != launch_) return;
    starts_due_.erase({stage, index});
    if (plan_.upgrades && is_there(stage, index)) return;
    if (index < wanted_workers(stage)) start_worker(stage, index);
  });
}

void World::split_moves(const WorkerProcess& worker) {
  if (!plan_.moves || !plan_.kills) return;
  // The most interesting moments for a death.
  if (chance(50'000)) disk_.crash_after(1 + below(8));
  if (!chance(50'000)) return;
  ++outcome_.deaths_amid_moves;
  workers_.at(worker.pid())->die_at_record();
}

void World::acknowledged(const WorkerProcess& worker, const std::string& split, std::uint64_t position) {
  if (has_no_rights(worker.incarnation())) return;
  std::uint64_t& known = acknowledged_[split];
  if (position < known) problem("what is acknowledged outside of a split goes back");
  known = position;
}

void World::check_alone(const WorkerProcess& worker, std::uint32_t split) {
  if (has_no_rights(worker.incarnation())) return;  // what it is granted late it cannot commit
  for (const auto& [pid, other] : workers_) {
    const bool reads = other.get() != &worker && other->alive() && other->reads(split);
    if (reads && !has_no_rights(other->incarnation())) problem("two workers read a split at once (I4)");
  }
}

}  // namespace weir::simulation
