// SPDX-License-Identifier: Apache-2.0
// Before a stage is upgraded the new library is asked whether it could go on with the state that there is: a process
// that is no worker is given all of it, shard by shard, as it would come ahead of a lease.
#include <fmt/format.h>

#include <algorithm>

#include "broker/core/core.h"

namespace weir::core {

using wire::MessageType;
using wire::Refusal;

namespace {

constexpr std::size_t kTrialsMax = 16;  ///< at once

}  // namespace

void Core::hello_trial(const Client& client, const wire::WorkerHello& said, std::uint32_t stage, Monotonic now) {
  if (const auto why_not = why_no_upgrade(stage)) return refuse(client, Refusal::kInvalid, *why_not);
  if (trials_.size() >= kTrialsMax)
    return refuse(client, Refusal::kAgain, "the state is being tried by others already: ask again in a while");
  const std::uint32_t unit = ledger_.unit_of(stage);
  Worker worker;
  worker.incarnation = Incarnation(std::uint64_t{reign_.value()} << 32 | ++incarnations_);
  worker.unit = unit;
  worker.trial = true;
  worker.pid = said.pid;
  worker.heard = worker.beat_sent = now;
  worker.inbox = said.inbox;
  worker.scan.assign(ledger_.units()[unit].inputs().size(), UINT64_MAX);
  const Incarnation incarnation = worker.incarnation;
  trials_[incarnation].from = ledger_.next_sequence();
  workers_.emplace(incarnation, std::move(worker));
  outside_.connect(incarnation, said.inbox);
  wire::WorkerWelcome welcome;
  welcome.incarnation = incarnation;
  welcome.commits = options_.commits_endpoint;
  welcome.news = options_.news_endpoint;
  welcome.journal = options_.journal;
  welcome.topology = topology_text_;
  welcome.beat = options_.beat;
  welcome.silence = options_.silence;
  outside_.reply(client, wire::encode(welcome));
}

void Core::go_on_trying() {
  for (auto& [incarnation, trial] : trials_) {
    Worker* worker = find_worker(incarnation);
    if (worker == nullptr || worker->state != Worker::State::kTrying || trial.number != 0) continue;
    const UnitState& unit = ledger_.units()[worker->unit];
    // All that there was when it asked is tried, and of what came since whatever is there by then.
    if (durable_ < trial.from) {
      want_durable();
      continue;
    }
    if (!ledger_.keeps_state(unit) || trial.lane >= unit.lanes.size()) {
      worker->state = Worker::State::kStopping;
      send(*worker, MessageType::kGrant, wire::encode_leases({}));
      continue;
    }
    RestoreJob job = restore_job(*worker, {trial.lane}, {}, durable_);
    const bool unwritten = std::any_of(job.parts.begin(), job.parts.end(), [](const RestoreJob::Part& part) {
      return !part.tail.empty() && !part.tail.back().place.written();
    });
    if (unwritten) continue;
    job.ahead = trial.number = ++copies_ahead_;
    wire::Lease lease;
    lease.kind = wire::LeaseKind::kAhead;
    lease.shard = trial.lane;
    lease.epoch = job.ahead;
    lease.state_follows = true;
    send(*worker, MessageType::kGrant, wire::encode_leases({lease}));
    upkeep_.on_restore(job);
    outside_.restore(std::move(job));
  }
}

void Core::on_tried(Worker& worker, const std::vector<wire::Lease>& taken) {
  const auto trial = trials_.find(worker.incarnation);
  for (const wire::Lease& lease : taken) {
    if (trial == trials_.end() || lease.epoch != trial->second.number) continue;
    trial->second.number = 0;
    ++trial->second.lane;
  }
}

}  // namespace weir::core
