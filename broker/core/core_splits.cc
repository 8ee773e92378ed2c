// SPDX-License-Identifier: Apache-2.0
// Splits of a source: who reads which, and how they move on while they are read.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "broker/core/core.h"
#include "sdk/wire/split_id.h"

namespace weir::core {

using wire::MessageType;

namespace {

/// So many more than another, and one of them is given to that: fewer, and it would be given back.
constexpr std::uint32_t kWorthAMove = 2;

}  // namespace

std::vector<Worker*> Core::readers_of_splits(std::uint32_t index) {
  auto workers = workers_of(index);
  std::erase_if(workers, [](const Worker* each) { return each->leaving; });
  keep_those_with_the_right_library(workers);
  return workers;
}

Core::SplitShares Core::split_shares(std::uint32_t index, const std::vector<const Worker*>& workers) const {
  const UnitState& unit = ledger_.units()[index];
  const UnitLeases& leases = leases_[index];
  SplitShares shares;
  const bool local = topology_.stages[unit.stage()].local;
  std::map<Incarnation, SplitShare*> by_worker;
  // A list that grows keeps its elements where they are.
  for (const Worker* worker : workers) {
    auto& share = shares[local ? worker->host : std::string()].emplace_back();
    share.worker = worker->incarnation;
    by_worker[worker->incarnation] = &share;
  }
  for (std::uint32_t lane = 0; lane < leases.lanes.size(); ++lane) {
    if (unit.lanes[lane].split_ended) continue;
    const auto reader = by_worker.find(leases.lanes[lane].holder);
    if (reader != by_worker.end()) ++reader->second->splits;
  }
  return shares;
}

void Core::lease_splits(std::uint32_t index, Monotonic now) {
  const UnitState& unit = ledger_.units()[index];
  UnitLeases& leases = leases_[index];
  const auto workers = readers_of_splits(index);
  if (workers.empty()) return;
  const bool local = topology_.stages[unit.stage()].local;
  if (!unit.enumeration_ended && leases.enumerator.value() == 0) {
    // Local things are looked for where the broker is, as long as anybody is there to look.
    const auto here =
        std::find_if(workers.begin(), workers.end(), [](const Worker* each) { return each->host.empty(); });
    Worker* const chosen = local && here != workers.end() ? *here : workers.front();
    leases.enumerator = chosen->incarnation;
    wire::Lease lease;
    lease.kind = wire::LeaseKind::kEnumerate;
    send(*chosen, MessageType::kGrant, wire::encode_leases({lease}));
  }
  leases.lanes.resize(unit.lanes.size());
  SplitShares shares = split_shares(index, {workers.begin(), workers.end()});
  std::vector<SplitShare*> all;
  for (auto& [host, group] : shares) {
    for (SplitShare& share : group) all.push_back(&share);
  }
  const auto fewest = [](const SplitShare* a, const SplitShare* b) {
    return a->splits != b->splits ? a->splits < b->splits : a->worker < b->worker;
  };
  // At first all wanted workers are expected; after a while splits go to whoever is there.
  const bool early = now - serving_since_ < options_.settle_in;
  const auto left =
      std::count_if(unit.lanes.begin(), unit.lanes.end(), [](const Lane& each) { return !each.split_ended; });
  const std::uint64_t expected = std::max<std::uint64_t>(ledger_.workers(unit.stage()), 1);
  const std::uint64_t quota = early ? (static_cast<std::uint64_t>(left) + expected - 1) / expected : UINT64_MAX;
  std::map<Incarnation, std::vector<wire::Lease>> granted;
  for (std::uint32_t lane = 0; lane < leases.lanes.size(); ++lane) {
    LaneLease& held = leases.lanes[lane];
    if (held.state != LaneLease::State::kFree || unit.lanes[lane].finished) continue;
    const bool ended = unit.lanes[lane].split_ended;  // only its finish is left, which any may do
    std::vector<SplitShare*> able = all;
    if (local && !ended) {
      able.clear();
      const auto group = shares.find(std::string(wire::SplitId::parse(unit.lanes[lane].split).host));
      if (group == shares.end()) continue;  // until one comes on the host where it is: unhealthy() says so
      for (SplitShare& share : group->second) able.push_back(&share);
    }
    SplitShare& share = **std::min_element(able.begin(), able.end(), fewest);
    if (!ended && share.splits >= quota) {
      leases.dirty = true;
      continue;
    }
    Worker& worker = *find_worker(share.worker);
    held.state = LaneLease::State::kHeld;
    held.holder = worker.incarnation;
    ++worker.lanes;
    if (ended) continue;
    ++share.splits;
    wire::Lease lease;
    lease.kind = wire::LeaseKind::kSplit;
    lease.shard = lane;
    lease.epoch = ++held.epoch;
    lease.watermark = unit.lanes[lane].advanced;
    lease.split = unit.lanes[lane].split;
    lease.position = unit.lanes[lane].position;
    granted[worker.incarnation].push_back(lease);
  }
  for (const auto& [incarnation, list] : granted)
    send(*find_worker(incarnation), MessageType::kGrant, wire::encode_leases(list));
  if (!early) share_splits(index, shares);
}

bool Core::splits_may_move(const UnitState& unit) const {
  // Readers of what is published know one order for each worker that publishes, and none across two.
  return std::none_of(unit.outputs().begin(), unit.outputs().end(),
                      [&](std::uint32_t stream) { return is_published(stream); });
}

void Core::share_splits(std::uint32_t index, const SplitShares& shares) {
  const UnitState& unit = ledger_.units()[index];
  UnitLeases& leases = leases_[index];
  if (!splits_may_move(unit)) return;
  const auto fewer = [](const SplitShare& a, const SplitShare& b) { return a.splits < b.splits; };
  for (const auto& [host, group] : shares) {
    const auto to = std::min_element(group.begin(), group.end(), fewer);
    const auto from = std::max_element(group.begin(), group.end(), fewer);
    if (from->splits < to->splits + kWorthAMove) continue;
    // One at a time, so that the others go on. What nobody has begun is nobody's loss; else the last that was found.
    std::optional<std::uint32_t> chosen;
    for (auto lane = static_cast<std::uint32_t>(leases.lanes.size()); lane-- > 0;) {
      if (leases.lanes[lane].state == LaneLease::State::kRevoking) return;
      if (leases.lanes[lane].holder != from->worker || unit.lanes[lane].split_ended) continue;
      if (!chosen || (!unit.lanes[*chosen].position.empty() && unit.lanes[lane].position.empty())) chosen = lane;
    }
    if (!chosen) continue;
    LaneLease& lease = leases.lanes[*chosen];
    lease.state = LaneLease::State::kRevoking;
    wire::Lease revoked;
    revoked.kind = wire::LeaseKind::kSplit;
    revoked.shard = *chosen;
    revoked.epoch = lease.epoch;
    return send(*find_worker(from->worker), MessageType::kRevoke, wire::encode_leases({revoked}));
  }
}

std::uint32_t Core::splits_moving(std::uint32_t index) const {
  const UnitState& unit = ledger_.units()[index];
  std::vector<const Worker*> workers;
  for (const auto& [incarnation, worker] : workers_) {
    if (worker.unit == index && worker.state == Worker::State::kReady && !worker.leaving) workers.push_back(&worker);
  }
  const auto fits = [&](const Worker* worker) { return runs_what_is_wanted(*worker); };
  if (std::any_of(workers.begin(), workers.end(), fits))
    std::erase_if(workers, [&](const Worker* worker) { return !fits(worker); });
  std::uint32_t moving = 0;
  for (std::uint32_t lane = 0; lane < leases_[index].lanes.size(); ++lane) {
    const bool asked_back = leases_[index].lanes[lane].state == LaneLease::State::kRevoking;
    moving += asked_back && !unit.lanes[lane].split_ended ? 1 : 0;
  }
  if (!splits_may_move(unit)) return moving;
  std::uint32_t moves = 0;
  for (auto& [host, group] : split_shares(index, workers)) {
    std::vector<std::uint32_t> counts;
    std::uint32_t total = 0;
    for (const SplitShare& share : group) {
      counts.push_back(share.splits);
      total += share.splits;
    }
    std::sort(counts.rbegin(), counts.rend());
    const auto each = total / static_cast<std::uint32_t>(counts.size());
    const std::uint32_t one_more = total % static_cast<std::uint32_t>(counts.size());
    for (std::uint32_t i = 0; i < counts.size(); ++i) {
      const std::uint32_t share = each + (i < one_more ? 1 : 0);
      moves += counts[i] > share ? counts[i] - share : 0;
    }
  }
  return std::max(moving, moves);
}

std::string Core::unreachable_split(std::uint32_t index) const {
  const UnitState& unit = ledger_.units()[index];
  if (unit.intake() != Intake::kSplits || unit.resting() || !topology_.stages[unit.stage()].local) return "";
  for (std::uint32_t lane = 0; lane < leases_[index].lanes.size(); ++lane) {
    if (leases_[index].lanes[lane].state != LaneLease::State::kFree) continue;
    if (unit.lanes[lane].finished || unit.lanes[lane].split_ended) continue;
    const wire::SplitId split = wire::SplitId::parse(unit.lanes[lane].split);
    const bool any = std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
      return entry.second.unit == index && entry.second.state == Worker::State::kReady &&
             entry.second.host == split.host;
    });
    if (any) continue;
    return fmt::format("\"{}\" of stage \"{}\" is on {}, where no worker of the stage is: it waits for one", split.name,
                       topology_.stages[unit.stage()].name,
                       split.host.empty() ? std::string("the broker's host") : std::string(split.host));
  }
  return "";
}

}  // namespace weir::core
