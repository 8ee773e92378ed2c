// SPDX-License-Identifier: Apache-2.0
// Records that kill their workers: found by delivering them alone, and given up when they have killed enough.
#include <fmt/format.h>

#include <algorithm>

#include "broker/core/core.h"
#include "broker/core/delivery.h"

namespace weir::core {

using wire::MessageType;

namespace {

constexpr std::size_t kDirectSuspectsMax = 256;

std::string why_condemned(std::uint32_t deaths, const std::string& cause) {
  return fmt::format("it killed {} while it was processed, last by {}",
                     deaths == 1 ? "its worker" : fmt::format("{} workers", deaths), cause);
}

}  // namespace

void Core::suspect(const Worker& worker, const FatalRecord& fatal) {
  UnitLeases& leases = leases_[worker.unit];
  const UnitState& unit = ledger_.units()[worker.unit];
  if (fatal.requeued != 0) {
    const auto at = leases.requeued.find(fatal.requeued);
    if (at == leases.requeued.end() || at->second.worker != worker.incarnation) return;
    // It is a message of its own and known by its number: every death that it is named for counts.
    RequeuedSuspect& suspect = leases.requeued_suspects[fatal.requeued];
    if (suspect.offset != fatal.offset) suspect = {fatal.offset, 0, {}};
    ++suspect.deaths;
    suspect.cause = fatal.cause;
    return;
  }
  // What the page said is the plugin's word: anything may have written there.
  const auto place = unit.find(fatal.stream, fatal.shard);
  if (!place) return;
  if (is_direct(topology_.streams[fatal.stream].transport)) return suspect_direct(worker, fatal);
  for (Suspect& suspect : leases.suspects) {
    if (suspect.lane() != place->lane || suspect.cursor() != place->cursor) continue;
    if (suspect.under_way() && suspect.at() == worker.incarnation) return suspect.on_death(fatal.cause);
    if (suspect.holds(fatal.offset)) return;
  }
  const LaneLease& lease = leases.lanes[place->lane];
  const LaneLease::Flow& flow = lease.flows[place->cursor];
  const std::uint64_t committed = unit.cursor(*place).offset;
  if (unit.intake() == Intake::kShards) {
    const bool its_own =
        lease.holder == worker.incarnation && committed <= fatal.offset && fatal.offset < flow.delivered_to;
    if (its_own) leases.suspects.emplace_back(place->lane, place->cursor, committed, fatal.offset);
    return;
  }
  auto range = flow.ranges.upper_bound(fatal.offset);
  if (range == flow.ranges.begin()) return;
  --range;
  if (fatal.offset < range->second.to && range->second.to_worker == worker.incarnation)
    leases.suspects.emplace_back(place->lane, place->cursor, range->first, fatal.offset);
}

void Core::suspect_direct(const Worker& worker, const FatalRecord& fatal) {
  // Of other transports it is lost with all that its worker had in hand.
  if (topology_.streams[fatal.stream].transport != Transport::kSendReceive) return;
  const Worker* producer = find_worker(fatal.producer);
  if (producer == nullptr) return;  // what it sent is nobody's any more, and comes with other numbers
  const auto& outputs = ledger_.units()[producer->unit].outputs();
  if (std::find(outputs.begin(), outputs.end(), fatal.stream) == outputs.end()) return;
  auto& suspects = leases_[worker.unit].direct_suspects;
  auto known = std::find_if(suspects.begin(), suspects.end(), [&](const DirectSuspect& each) {
    return each.stream == fatal.stream && each.producer == fatal.producer && each.offset == fatal.offset;
  });
  if (known == suspects.end()) {
    // Those that were given up, or were innocent, are never heard of again; nobody says which.
    if (suspects.size() >= kDirectSuspectsMax) suspects.pop_front();
    known = suspects.insert(suspects.end(), {fatal.stream, fatal.producer, fatal.offset, 0, {}});
  }
  if (fatal.alone) {
    ++known->deaths;
    known->cause = fatal.cause;
  }
  for (Worker* each : workers_of(worker.unit)) {
    if (each->incarnation != worker.incarnation) tell_suspect(*each, *known);
  }
}

void Core::tell_suspect(Worker& worker, const DirectSuspect& suspect) {
  wire::Suspect told{suspect.stream, suspect.producer, suspect.offset, 0, {}};
  if (suspect.deaths > topology_.stages[ledger_.units()[worker.unit].stage()].retries) {
    told.attempts = suspect.deaths;
    told.reason = why_condemned(suspect.deaths, suspect.cause);
  }
  send(worker, MessageType::kSuspect, wire::encode_suspect(told));
}

void Core::clear_suspects(std::uint32_t index, const wire::Commit& commit) {
  UnitLeases& leases = leases_[index];
  const UnitState& unit = ledger_.units()[index];
  for (const wire::Consumed& range : commit.consumed) {
    const auto place = unit.find(range.stream, range.shard);
    for (Suspect& suspect : leases.suspects) {
      if (suspect.lane() == place->lane && suspect.cursor() == place->cursor && range.from <= suspect.from())
        suspect.on_committed(std::min(range.to, suspect.to()));
    }
  }
  std::erase_if(leases.suspects, [](const Suspect& suspect) { return suspect.over(); });
}

bool Core::idle(const Worker& worker) const {
  const UnitLeases& leases = leases_[worker.unit];
  for (const LaneLease& lease : leases.lanes) {
    for (const LaneLease::Flow& flow : lease.flows) {
      if (lease.holder == worker.incarnation && !flow.sent.empty()) return false;
      for (const auto& [from, range] : flow.ranges) {
        if (range.to_worker == worker.incarnation) return false;
      }
    }
  }
  return std::none_of(leases.requeued.begin(), leases.requeued.end(),
                      [&](const auto& entry) { return entry.second.worker == worker.incarnation; });
}

bool Core::set_apart(const Worker& worker) const {
  const UnitLeases& leases = leases_[worker.unit];
  return std::any_of(leases.suspects.begin(), leases.suspects.end(), [&](const Suspect& suspect) {
    if (suspect.at() == worker.incarnation || suspect.reserved == worker.incarnation) return true;
    return ledger_.units()[worker.unit].intake() == Intake::kShards &&
           leases.lanes[suspect.lane()].holder == worker.incarnation;
  });
}

void Core::condemn(Worker& worker, wire::Condemned condemned, std::uint32_t deaths, const std::string& cause) {
  condemned.attempts = deaths;
  condemned.reason = why_condemned(deaths, cause);
  send(worker, MessageType::kCondemned, wire::encode_condemned(condemned));
}

void Core::deliver_alone(std::uint32_t index) {
  UnitLeases& leases = leases_[index];
  if (leases.suspects.empty()) return;
  if (ledger_.units()[index].intake() == Intake::kRanges) return deliver_range_alone(index, leases.suspects.front());
  std::set<Incarnation> taken;  // a worker gets one piece at a time
  for (Suspect& suspect : leases.suspects) {
    LaneLease& lease = leases.lanes[suspect.lane()];
    if (!taken.insert(lease.holder).second) continue;
    Worker* worker = find_worker(lease.holder);
    if (worker == nullptr || worker->state != Worker::State::kReady || lease.state != LaneLease::State::kHeld) continue;
    if (suspect.under_way() || worker->capacity.first == 0 || !idle(*worker)) continue;
    deliver_shard_alone(*worker, suspect);
  }
}

void Core::deliver_shard_alone(Worker& worker, Suspect& suspect) {
  const UnitState& unit = ledger_.units()[worker.unit];
  const Cursor& cursor = unit.lanes[suspect.lane()].cursors[suspect.cursor()];
  LaneLease::Flow& flow = leases_[worker.unit].lanes[suspect.lane()].flows[suspect.cursor()];
  const std::uint32_t stream = unit.inputs()[cursor.input];
  StreamState& state = ledger_.stream(stream);
  for (std::uint64_t frame = std::max(cursor.frame, state.first_frame()); frame < state.end_frame(); ++frame) {
    if (unit.is_sink() && state.slot(frame).sequence >= settled_) return;
    const Buffer* bytes = frame_bytes(stream, frame);
    if (bytes == nullptr) return;
    const auto view = wire::FrameView::parse(bytes->bytes);
    const auto piece = Delivery::piece(*view, cursor.shard, suspect.from(), suspect.piece_end());
    if (!piece) continue;
    flow.delivered_to = piece->batch.offset + piece->batch.count;
    // This frame is still needed, even if it holds nothing more: whoever comes next passes over it.
    flow.sent.push_back({piece->batch.offset, flow.delivered_to, frame, {}, true});
    return send_alone(worker, suspect, stream, view->header().watermark, *piece);
  }
}

void Core::deliver_range_alone(std::uint32_t index, Suspect& suspect) {
  const UnitState& unit = ledger_.units()[index];
  const Cursor& cursor = unit.lanes[suspect.lane()].cursors[suspect.cursor()];
  LaneLease::Flow& flow = leases_[index].lanes[suspect.lane()].flows[suspect.cursor()];
  if (suspect.under_way()) return;
  Worker* worker = find_worker(suspect.reserved);
  if (worker == nullptr || worker->state != Worker::State::kReady) {
    const auto workers = workers_of(index);
    if (workers.empty()) return;
    worker = *std::min_element(workers.begin(), workers.end(),
                               [](const Worker* a, const Worker* b) { return a->under_way() < b->under_way(); });
    suspect.reserved = worker->incarnation;
  }
  if (worker->capacity.first == 0 || !idle(*worker)) return;
  auto again = flow.redeliver.upper_bound(suspect.from());
  if (again == flow.redeliver.begin()) return;
  --again;
  const LaneLease::Sent range = again->second;
  if (suspect.from() >= range.to) return;
  const std::uint32_t stream = unit.inputs()[cursor.input];
  const Buffer* bytes = frame_bytes(stream, range.frame);
  if (bytes == nullptr) return;
  const auto view = wire::FrameView::parse(bytes->bytes);
  const auto piece = Delivery::piece(*view, cursor.shard, suspect.from(), std::min(suspect.piece_end(), range.to));
  WEIR_CHECK(piece.has_value(), "a range lies in the frame that it was cut from");
  const std::uint64_t to = piece->batch.offset + piece->batch.count;
  flow.redeliver.erase(again);
  const auto keep = [&](std::uint64_t from, std::uint64_t end) {
    if (from < end) flow.redeliver.emplace(from, LaneLease::Sent{from, end, range.frame, {}, false});
  };
  keep(range.from, suspect.from());
  keep(to, range.to);
  flow.ranges.emplace(suspect.from(), LaneLease::Sent{suspect.from(), to, range.frame, worker->incarnation, false});
  send_alone(*worker, suspect, stream, view->header().watermark, *piece);
}

void Core::send_alone(Worker& worker, Suspect& suspect, std::uint32_t stream, Timestamp watermark, const Piece& piece) {
  const std::uint64_t to = piece.batch.offset + piece.batch.count;
  suspect.on_sent(worker.incarnation, to);
  if (piece.batch.count == 1 && suspect.deaths() > topology_.stages[ledger_.units()[worker.unit].stage()].retries)
    condemn(worker, {stream, piece.batch.shard, piece.batch.offset, 0, 0, {}}, suspect.deaths(), suspect.cause());
  Delivery delivery;
  delivery.add(stream, piece, watermark, true);
  flush(worker, delivery);
}

}  // namespace weir::core
