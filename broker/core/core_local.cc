// SPDX-License-Identifier: Apache-2.0
// State on the disks of workers: what of it is of use to one that gets a lease, and how far it may go.
#include <algorithm>

#include "broker/core/core.h"

namespace weir::core {

namespace {

constexpr Monotonic kTellEvery{5'000};

}  // namespace

bool Core::keeps_local(const UnitState& unit) const {
  return std::any_of(unit.stages().begin(), unit.stages().end(),
                     [&](std::uint32_t stage) { return topology_.stages[stage].store == Store::kRocksDb; });
}

bool Core::fits(const UnitState& unit, const wire::LocalState& local) const {
  // Only what was on this disk is on the worker's, so that it is part of every later history; what says otherwise is of
  // another one (a copy of the directory, a disk that lied).
  if (local.through == 0 || local.reign > reign_.value()) return false;
  if (local.through > (local.reign == reign_.value() ? durable_ : began_).value()) return false;
  return std::all_of(unit.stages().begin(), unit.stages().end(), [&](std::uint32_t stage) {
    const Changelog& changelog = ledger_.changelog(stage);
    const std::uint64_t kept_from = changelog.newest() ? changelog.newest()->through : 0;
    // A reset makes void what was before it, there too.
    return local.through >= kept_from && (changelog.reset_before() == 0 || local.through > changelog.reset_before());
  });
}

void Core::on_local(Worker& worker, const std::vector<wire::LocalState>& states) {
  const UnitState& unit = ledger_.units()[worker.unit];
  const auto& lanes = leases_[worker.unit].lanes;
  std::vector<std::uint32_t> wanted;
  for (const wire::LocalState& state : states) {
    const bool granted = keeps_local(unit) && state.shard < lanes.size() &&
                         lanes[state.shard].holder == worker.incarnation &&
                         lanes[state.shard].state == LaneLease::State::kRestoring;
    if (!granted) return fence(worker.incarnation, "it speaks of state that it has no lease for");
    worker.local[state.shard] = state;
    wanted.push_back(state.shard);
  }
  if (!wanted.empty()) restore(worker, wanted);
}

void Core::tell_durable() {
  for (auto& [incarnation, worker] : workers_) {
    const bool tells =
        !worker.trial && worker.state != Worker::State::kConnecting && keeps_local(ledger_.units()[worker.unit]);
    if (!tells) continue;
    wire::Totals told = worker.durable_told;
    for (const auto& [transaction, sequence] : worker.undurable) {
      if (sequence >= durable_) break;
      told.first = transaction;
    }
    // Who does nothing is told too, if seldom: its state must not fall behind what is kept.
    constexpr std::uint64_t kSeldom = 1024;
    if (told.first == worker.durable_told.first && durable_.value() < worker.durable_told.second + kSeldom) {
      // Under a lax durability nothing else asks for it.
      if (!worker.undurable.empty() && worker.undurable.front().second < settled_) want_durable();
      continue;
    }
    // Each wakes the worker, which waits for none of them.
    if (now_ - worker.durable_told_at < kTellEvery) continue;
    told.second = durable_.value();
    worker.durable_told = told;
    std::erase_if(worker.undurable, [&](const auto& each) { return each.first <= told.first; });
    worker.durable_told_at = now_;
    send(worker, wire::MessageType::kDurable, wire::encode_totals(told));
  }
}

void Core::want_durable() {
  if (sync_asked_ > durable_ || durable_ == ledger_.next_sequence()) return;
  sync_asked_ = ledger_.next_sequence();
  outside_.sync();
}

}  // namespace weir::core
