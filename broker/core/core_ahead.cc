// SPDX-License-Identifier: Apache-2.0
// State of a shard goes to the worker that is to have it while its holder goes on; only then is the lease asked back,
// and what changed meanwhile follows with it.
#include <algorithm>

#include "broker/core/core.h"

namespace weir::core {

using wire::MessageType;

bool Core::goes_ahead(const UnitState& unit) const {
  // What lies on a worker's disk is judged by what it says of it; a sink's position is small and comes with the lease.
  return ledger_.keeps_state(unit) && !keeps_local(unit) && !unit.is_sink();
}

bool Core::send_ahead(std::uint32_t index, std::uint32_t lane, Worker& to) {
  UnitLeases& leases = leases_[index];
  if (leases.ahead && (leases.ahead->lane != lane || leases.ahead->to != to.incarnation)) call_off(index);
  if (leases.ahead) return leases.ahead->whole;
  // Nobody gets what this journal may still lose, so that all that came ahead is part of every later history.
  if (leases.ahead_from.value() == 0) leases.ahead_from = ledger_.next_sequence();
  if (durable_ < leases.ahead_from) want_durable();
  if (durable_ < leases.ahead_from || upkeep_.compacting) return false;
  RestoreJob job = restore_job(to, {lane}, {}, durable_);
  const bool unwritten = std::any_of(job.parts.begin(), job.parts.end(), [](const RestoreJob::Part& part) {
    return !part.tail.empty() && !part.tail.back().place.written();
  });
  if (unwritten) return false;
  leases.ahead_from = Sequence();
  job.ahead = ++copies_ahead_;
  leases.ahead = UnitLeases::Ahead{job.ahead, lane, to.incarnation, durable_, false};
  wire::Lease lease;
  lease.kind = wire::LeaseKind::kAhead;
  lease.shard = lane;
  lease.epoch = job.ahead;
  lease.state_follows = true;
  send(to, MessageType::kGrant, wire::encode_leases({lease}));
  upkeep_.on_restore(job);
  outside_.restore(std::move(job));
  return false;
}

void Core::call_off(std::uint32_t index) {
  UnitLeases& leases = leases_[index];
  leases.ahead_from = Sequence();
  if (!leases.ahead) return;
  const UnitLeases::Ahead ahead = *leases.ahead;
  leases.ahead.reset();
  leases.dirty = true;
  Worker* to = find_worker(ahead.to);
  if (to == nullptr) return;
  to->local.erase(ahead.lane);
  wire::Lease lease;
  lease.kind = wire::LeaseKind::kAhead;
  lease.shard = ahead.lane;
  lease.epoch = ahead.number;
  send(*to, MessageType::kRevoke, wire::encode_leases({lease}));
}

bool Core::is_ahead(const RestoreJob& job) {
  const Worker* worker = find_worker(job.incarnation);
  if (worker == nullptr) return false;
  if (const auto trial = trials_.find(job.incarnation); trial != trials_.end())
    return trial->second.number == job.ahead;
  const auto& ahead = leases_[worker->unit].ahead;
  return ahead && ahead->number == job.ahead;
}

void Core::on_state_ahead(Worker& worker, const wire::StatePart& part) {
  const auto& ahead = leases_[worker.unit].ahead;
  const auto trial = trials_.find(worker.incarnation);
  const bool tried = trial != trials_.end() && trial->second.number == part.ahead;
  if (tried || (ahead && ahead->number == part.ahead)) send_state(worker, part);
}

void Core::on_taken(Worker& worker, const std::vector<wire::Lease>& taken) {
  UnitLeases& leases = leases_[worker.unit];
  for (const wire::Lease& lease : taken) {
    const bool ours = leases.ahead && leases.ahead->number == lease.epoch && leases.ahead->to == worker.incarnation;
    if (!ours) continue;  // it was called off meanwhile
    leases.ahead->whole = true;
    leases.dirty = true;
    worker.local[leases.ahead->lane] = {leases.ahead->lane, reign_.value(), leases.ahead->through.value()};
  }
}

}  // namespace weir::core
