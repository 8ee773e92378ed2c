// SPDX-License-Identifier: Apache-2.0
// A person who gives stages other versions of their libraries while they run, and the launcher that starts their
// workers. A version is a number from 1, which is the topology's own; all of them do the same.
#include <map>
#include <string>
#include <vector>

#include "sdk/wire/library_hash.h"
#include "sdk/wire/map.h"
#include "tests/simulation/worker_process.h"
#include "tests/simulation/world.h"

namespace weir::simulation {
namespace {

constexpr std::uint32_t kOwn = 1;
constexpr std::uint32_t kVersions = 3;
constexpr std::size_t kHashDigits = 32;

std::string hash_of(std::uint32_t version) { return std::string(kHashDigits, static_cast<char>('a' + version - 1)); }

core::LibraryVersion library_of(std::uint32_t version) {
  return {hash_of(version), std::to_string(version) + ".so", "/somewhere"};
}

}  // namespace

std::string World::libraries_of(std::uint32_t host, bool before) const {
  if (!plan_.upgrades) return "";
  const auto& versions = before ? versions_before_ : versions_;
  std::map<std::string, std::string> by_name;
  for (std::uint32_t stage = 0; stage < topology().stages.size(); ++stage) {
    if (topology().stages[stage].host != host) continue;
    const auto chosen = versions.find(stage);
    by_name[topology().stages[stage].name] = hash_of(chosen == versions.end() ? kOwn : chosen->second);
  }
  std::vector<std::string> hashes;
  for (const auto& [name, hash] : by_name) hashes.push_back(hash);
  return wire::join_libraries(hashes);
}

void World::upgrade() {
  if (now_ >= plan_.calm_from) return;
  later(Monotonic(static_cast<std::int64_t>(wishes_() % 1'000'000)), [this] { upgrade(); });
  const auto stage = static_cast<std::uint32_t>(wishes_() % topology_.stages.size());
  const auto version = static_cast<std::uint32_t>(1 + wishes_() % kVersions);
  const bool back = wishes_() % 4 == 0;
  const bool crashes = plan_.kills && wishes_() % 4 == 0;
  const std::uint64_t when = 1 + wishes_() % 8;
  if (wishes_() % 4 == 0) later(Monotonic(static_cast<std::int64_t>(wishes_() % 500'000)), [this] { fail_upgrade(); });
  if (!broker_ || !broker_->core) return;
  const core::Client client = kPerson + std::to_string(++wishes_said_);
  upgrades_.ask(client, stage, version);
  trace("upgrade", stage);
  const core::LibraryVersion library = library_of(version);
  wire::MapWriter request("upgrade");
  request.put("stage", topology_.stages[stage].name);
  request.put("hash", library.hash);
  request.put("name", library.name);
  request.put("origin", library.origin);
  request.put("back", std::uint64_t{back});
  with_core([&] { broker_->core->on_client(client, std::move(request).finish(), now_); });
  // The most interesting moment for a crash.
  if (crashes) disk_.crash_after(when);
}

void World::fail_upgrade() {
  if (!broker_ || !broker_->core || now_ >= plan_.calm_from) return;
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) {
    const core::StageLibrary* chosen = broker_->core->ledger().library(stage);
    if (chosen == nullptr || chosen->settled || chosen->before.hash.empty()) continue;
    trace("upgrade failed", stage);
    // It is told to nobody: until it is on disk a broker that dies over it leaves what was.
    upgrades_.ask("launcher" + std::to_string(++wishes_said_), stage,
                  static_cast<std::uint32_t>(chosen->before.hash.front() - 'a' + 1));
    const std::string hash = chosen->now.hash;
    return with_core([&] { broker_->core->on_upgrade_failed(stage, hash, "they die", now_); });
  }
}

void World::answered_about_library(const core::Client& client, const wire::MapReader& answer) {
  if (answer.op() == "refused") {
    ++outcome_.upgrades_refused;
    return upgrades_.refused(client);
  }
  ++outcome_.upgrades;
  upgrades_.done(client);
}

std::uint32_t World::library_found(std::uint32_t stage) const {
  const core::StageLibrary* chosen = broker_->core->ledger().library(stage);
  return chosen == nullptr ? kOwn : static_cast<std::uint32_t>(chosen->now.hash.front() - 'a' + 1);
}

void World::check_libraries() {
  if (!plan_.upgrades) return;
  had_by_.clear();
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) {
    if (life_ == 1) upgrades_.revise(stage, 0, kOwn);
    const std::uint32_t found = library_found(stage);
    if (!upgrades_.may_find(stage, found)) {
      return problem("stage " + topology_.stages[stage].name + " is to run with version " + std::to_string(found) +
                     " of its library after a start, which nobody wanted last");
    }
    upgrades_.found(stage, found);
    versions_[stage] = found;
  }
}

void World::say_libraries() {
  if (!plan_.upgrades) return;
  std::map<std::uint32_t, core::LibraryVersion> own;
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) own[stage] = library_of(kOwn);
  broker_->core->on_libraries(own, now_);
}

void World::check_grants(const WorkerProcess& worker, BytesView message) {
  if (!plan_.upgrades || wire::decode_header(message)->type != wire::MessageType::kGrant) return;
  const auto leases = wire::decode_leases(wire::body_of(message));
  const std::string wanted = libraries_of(worker.stage());
  for (const wire::Lease& lease : *leases) {
    if (lease.kind != wire::LeaseKind::kShard) continue;
    std::string& had_by = had_by_[{worker.stage(), lease.shard}];
    if (had_by == wanted && worker.runs() != wanted) {
      return problem("shard " + std::to_string(lease.shard) + " of " + topology().stages[worker.stage()].name +
                     " goes back to a worker with another library than is wanted");
    }
    outcome_.shards_upgraded += !had_by.empty() && had_by != wanted && worker.runs() == wanted ? 1 : 0;
    had_by = worker.runs();
  }
}

}  // namespace weir::simulation
