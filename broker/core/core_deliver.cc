// SPDX-License-Identifier: Apache-2.0
// Records go to workers, under credit; bytes stay in memory while somebody is about to want them.
#include <algorithm>
#include <limits>

#include "broker/core/core.h"
#include "broker/core/delivery.h"
#include "sdk/wire/batch.h"

namespace weir::core {

using wire::MessageType;

namespace {

constexpr std::size_t kDeliveryBytes = 256 << 10;  ///< a delivery is sent when it has come to this size
constexpr std::size_t kRangeBytes = 128 << 10;     ///< a range of unkeyed input is cut at the record behind this size
constexpr std::size_t kRangeUnderWay = 512 << 10;  ///< so much of unkeyed input waits at one of several workers
constexpr std::size_t kAloneUnderWay = 4 << 20;    ///< and at an only one: more would be out of the cache again
constexpr std::uint32_t kPassedOverMax = 32;       ///< an idle worker gets a range behind so many: it may be fast again
constexpr std::size_t kUrgentUnderWay = 128 << 10;  ///< the same where something more urgent may come
constexpr std::uint64_t kShardsUnderWay = 4 << 20;  ///< so much of keyed input waits at a worker
constexpr std::uint32_t kLoadsMax = 16;

}  // namespace

namespace {

/// What goes round a loop holds back nobody inside it, or all would wait for each other.
bool comes_back_to(const Ledger& ledger, const UnitState& unit, std::uint32_t output) {
  return unit.loop != 0 && ledger.topology().streams[output].loop && ledger.loop_of(output) == unit.loop;
}

/// A loop that has too much going round takes nothing new: `unit` is part of one, and `input` leads into it.
bool waits_for_loop(const Ledger& ledger, const UnitState& unit, std::uint32_t input) {
  if (unit.loop == 0 || ledger.loop_of(input) == unit.loop) return false;
  for (std::uint32_t stream = 0; stream < ledger.topology().streams.size(); ++stream) {
    const Stream& spec = ledger.topology().streams[stream];
    if (spec.loop && ledger.loop_of(stream) == unit.loop &&
        ledger.stream(stream).bytes_waiting() >= spec.backlog_bytes_max)
      return true;
  }
  return false;
}

}  // namespace

// Many tiny frames, or changes of state, take more of the index than of the disk.
bool Core::index_is_full() const { return ledger_.slots() * sizeof(FrameSlot) >= topology_.broker.memory_bytes / 4; }
bool Core::full(std::uint32_t stream) const {
  return ledger_.stream(stream).bytes_waiting() >= topology_.streams[stream].backlog_bytes_max || index_is_full();
}

bool Core::blocked(const UnitState& unit) const {
  // The index is one for all streams. Who has input gives slots back by consuming it, and must, or nobody ever would:
  // it waits only until its consumers have taken what it made before.
  const bool index_full = index_is_full();
  return std::any_of(unit.outputs().begin(), unit.outputs().end(), [&](std::uint32_t stream) {
    if (comes_back_to(ledger_, unit, stream)) return false;
    const std::uint64_t waiting = ledger_.stream(stream).bytes_waiting();
    if (waiting >= topology_.streams[stream].backlog_bytes_max) return true;
    return index_full && (waiting != 0 || unit.intake() == Intake::kSplits);
  });
}

bool Core::waits_for_space(const UnitState& unit) const {
  if (!low_on_space() || unit.outputs().empty()) return false;
  if (out_of_space_) return true;
  // What it makes takes room before what it consumes gives any back: as long as its consumers have nothing to do.
  return std::any_of(unit.outputs().begin(), unit.outputs().end(), [&](std::uint32_t stream) {
    return !comes_back_to(ledger_, unit, stream) && ledger_.stream(stream).bytes_waiting() != 0;
  });
}

void Core::deliver(std::uint32_t index, Monotonic) {
  const UnitState& unit = ledger_.units()[index];
  if (unit.finished || blocked(unit) || waits_for_space(unit)) return;
  if (!unit.outputs().empty() && upkeep_lags()) return;
  deliver_requeued(index);
  if (unit.intake() == Intake::kSplits) return;
  deliver_alone(index);
  if (unit.intake() == Intake::kRanges) return deliver_ranges(index);
  for (Worker* worker : workers_of(index)) {
    if (leases_[index].suspects.empty() || !set_apart(*worker)) deliver_shards(*worker);
  }
}

const Buffer* Core::frame_bytes(std::uint32_t stream, std::uint64_t frame) {
  StreamState& state = ledger_.stream(stream);
  // The next ones are asked for too: a lagging reader goes through them all.
  for (std::uint64_t ahead = frame; ahead < std::min(frame + 4, state.end_frame()); ++ahead) {
    FrameSlot& slot = state.slot(ahead);
    if (slot.bytes || slot.loading || !slot.place.written() || loads_ >= kLoadsMax) continue;
    if (ahead > frame && hot_.total() > topology_.broker.memory_bytes / 2) break;
    slot.loading = true;
    ++loads_;
    outside_.read_frame(stream, ahead, slot.place);
  }
  const FrameSlot& slot = state.slot(frame);
  return slot.bytes ? &slot.bytes : nullptr;
}

void Core::deliver_shards(Worker& worker) {
  const auto inputs = static_cast<std::uint32_t>(ledger_.units()[worker.unit].inputs().size());
  Delivery delivery;
  // Round and round over the inputs, so that none waits on another.
  std::uint32_t idle = 0;
  while (idle < inputs) {
    const std::uint32_t input = worker.input_next++ % inputs;
    idle = deliver_shards_of(worker, input, delivery) ? 0 : idle + 1;
    if (delivery.bytes >= kDeliveryBytes) flush(worker, delivery);
  }
  flush(worker, delivery);
}

std::uint64_t Core::shards_under_way_max() const {
  return std::min(kShardsUnderWay, topology_.broker.segment_bytes / 8);
}

bool Core::deliver_shards_of(Worker& worker, std::uint32_t input, Delivery& delivery) {
  const UnitState& unit = ledger_.units()[worker.unit];
  const std::uint32_t stream = unit.inputs()[input];
  if (unit.rests(input) || waits_for_loop(ledger_, unit, stream)) return false;
  StreamState& state = ledger_.stream(stream);
  UnitLeases& leases = leases_[worker.unit];
  std::uint64_t& scan = worker.scan[input];
  scan = std::max(scan, state.first_frame());
  if (scan == UINT64_MAX || scan >= state.end_frame()) return false;
  // Only what is on disk as it asked to be leaves the system.
  if ((unit.is_sink() || sends_to_peers(unit)) && state.slot(scan).sequence >= settled_) return false;
  const Buffer* bytes = frame_bytes(stream, scan);
  if (bytes == nullptr) return false;
  const auto view = wire::FrameView::parse(bytes->bytes);
  WEIR_CHECK(view.ok(), "a journaled frame was judged before it was journaled");
  const wire::FrameHeader header = view->header();

  struct Match {
    Piece piece;
    LaneLease::Flow* flow;
  };
  std::vector<Match> matches;
  std::uint64_t total = 0;
  std::uint64_t records = 0;
  std::size_t at = view->batches_start();
  for (std::uint32_t i = 0; i < header.batches; ++i) {
    const wire::BatchHeader batch = view->batch(i);
    const BytesView all = view->bytes().subspan(at, batch.bytes);
    at += batch.bytes;
    const auto place = unit.find(stream, batch.shard);
    LaneLease& lease = leases.lanes[place->lane];
    if (lease.holder != worker.incarnation || lease.state == LaneLease::State::kRevoking) continue;
    LaneLease::Flow& flow = lease.flows[place->cursor];
    if (batch.offset + batch.count <= flow.delivered_to) continue;
    // Nor before the group has come to where boundaries moved: look_again() comes back to it.
    const Relocation::Barrier* barrier = unit.barrier(place->lane);
    if (barrier != nullptr && batch.offset >= barrier->offset) continue;
    // Not before its state is complete: the frame is looked at again then. The worker's other lanes go on.
    if (lease.state == LaneLease::State::kRestoring) continue;
    const Piece piece =
        Delivery::cut(batch, all, std::max(batch.offset, flow.delivered_to), batch.offset + batch.count);
    matches.push_back({piece, &flow});
    total += piece.bytes.size();
    records += piece.batch.count;
  }
  if (!matches.empty()) {
    // More does not make a worker faster, and what it emits from it cannot be held back any more.
    const bool alone = worker.under_way() == 0 && delivery.headers.empty();
    const bool fits = worker.used.first + delivery.bytes + total <= worker.credit.first &&
                      worker.used.second + records <= worker.credit.second &&
                      worker.under_way() + delivery.bytes + total <= shards_under_way_max();
    if (!alone && !fits) return false;
    if (worker.capacity.first == 0) return false;
  }
  for (const Match& match : matches) {
    const wire::BatchHeader& batch = match.piece.batch;
    delivery.add(stream, match.piece, header.watermark);
    match.flow->delivered_to = batch.offset + batch.count;
    match.flow->sent.push_back({batch.offset, match.flow->delivered_to, scan, {}});
  }
  ++scan;
  return true;
}

void Core::flush(Worker& worker, Delivery& delivery) {
  if (delivery.headers.empty()) return;
  Bytes message = wire::message_room();
  message.reserve(message.size() + sizeof(std::uint32_t) + delivery.headers.size() * sizeof(wire::DeliveryHeader) +
                  delivery.bytes);
  ByteWriter writer(message);
  writer.put(static_cast<std::uint32_t>(delivery.headers.size()));
  writer.raw(std::as_bytes(std::span(delivery.headers)));
  for (const BytesView records : delivery.records) writer.raw(records);
  std::uint64_t records = 0;
  for (const wire::DeliveryHeader& header : delivery.headers) records += header.count;
  worker.on_sent(delivery.bytes, records, now_);
  send_built(worker, MessageType::kDeliver, std::move(message));
  delivery = {};
}

Worker* Core::choose(std::uint32_t unit, std::uint64_t bytes, std::uint64_t records, Dispatch dispatch) {
  auto workers = workers_of(unit);
  if (!leases_[unit].suspects.empty()) std::erase_if(workers, [&](const Worker* worker) { return set_apart(*worker); });
  if (workers.empty()) return nullptr;
  // However few are here: the first of several to come must not take what the others are to share.
  const bool several = ledger_.workers(ledger_.units()[unit].stage()) > 1;
  const auto admits = [&](const Worker* worker) {
    if (worker->capacity.first == 0 || !worker->admits(bytes, records)) return false;
    if (worker->under_way() == 0) return true;
    if (dispatch == Dispatch::kPriority) return worker->under_way() + bytes <= kUrgentUnderWay;
    // As a sum, since a difference would turn round for a worker that says it has worked off more than it was sent.
    const std::uint64_t most = several ? kRangeUnderWay : kAloneUnderWay;
    return worker->used.first + worker->capacity.first + bytes <= worker->credit.first + most;
  };
  if (dispatch == Dispatch::kRoundRobin) {
    Worker* next = workers[leases_[unit].worker_next % workers.size()];
    if (!admits(next)) return nullptr;
    ++leases_[unit].worker_next;
    return next;
  }
  // Who would be done with it first. Of whom nothing is known yet the best is assumed.
  double us_per_byte_min = std::numeric_limits<double>::max();
  for (const Worker* worker : workers) {
    if (worker->us_per_byte != 0) us_per_byte_min = std::min(us_per_byte_min, worker->us_per_byte);
  }
  if (us_per_byte_min == std::numeric_limits<double>::max()) us_per_byte_min = 1;
  const auto done_after = [&](const Worker* worker) {
    if (worker->under_way() == 0 && worker->passed_over >= kPassedOverMax) return 0.0;
    const double pace = worker->us_per_byte != 0 ? worker->us_per_byte : us_per_byte_min;
    return pace * static_cast<double>(worker->under_way() + bytes);
  };
  Worker* best = nullptr;
  for (Worker* worker : workers) {
    if (admits(worker) && (best == nullptr || done_after(worker) < done_after(best))) best = worker;
  }
  if (best == nullptr) return nullptr;
  for (Worker* worker : workers) {
    if (worker->under_way() == 0) ++worker->passed_over;
  }
  best->passed_over = 0;
  return best;
}

bool Core::redeliver(std::uint32_t index, std::uint32_t lane) {
  const UnitState& unit = ledger_.units()[index];
  UnitLeases& leases = leases_[index];
  LaneLease::Flow& flow = leases.lanes[lane].flows.front();
  const Cursor& cursor = unit.lanes[lane].cursors.front();
  const std::uint32_t stream = unit.inputs()[cursor.input];
  const auto suspected = [&](const LaneLease::Sent& range) {
    return std::any_of(leases.suspects.begin(), leases.suspects.end(), [&](const Suspect& suspect) {
      return suspect.lane() == lane && suspect.from() < range.to && range.from < suspect.to();
    });
  };
  for (auto it = flow.redeliver.begin(); it != flow.redeliver.end();) {
    LaneLease::Sent again = it->second;
    if (suspected(again)) {  // goes alone
      ++it;
      continue;
    }
    const Buffer* bytes = frame_bytes(stream, again.frame);
    if (bytes == nullptr) return false;
    const auto view = wire::FrameView::parse(bytes->bytes);
    const auto piece = Delivery::piece(*view, cursor.shard, again.from, again.to);
    WEIR_CHECK(piece.has_value(), "a range lies in the frame that it was cut from");
    Worker* worker = choose(index, piece->bytes.size(), again.to - again.from, topology_.streams[stream].dispatch);
    if (worker == nullptr) return false;
    Delivery delivery;
    delivery.add(stream, *piece, view->header().watermark);
    again.to_worker = worker->incarnation;
    WEIR_CHECK(cursor.offset <= again.from && flow.ranges.emplace(again.from, again).second,
               "a range is under way once, and not yet committed");
    flush(*worker, delivery);
    it = flow.redeliver.erase(it);
  }
  return true;
}

void Core::deliver_ranges(std::uint32_t index) {
  const UnitState& unit = ledger_.units()[index];
  UnitLeases& leases = leases_[index];
  for (std::uint32_t lane = 0; lane < leases.lanes.size(); ++lane) {
    if (!redeliver(index, lane)) return;
  }
  const bool several = ledger_.workers(unit.stage()) > 1;
  for (std::uint32_t input = 0; input < unit.inputs().size(); ++input) {
    if (unit.rests(input) || waits_for_loop(ledger_, unit, unit.inputs()[input])) continue;
    if (by_priority(unit, input)) {
      deliver_lanes(index, input);
      continue;
    }
    const std::uint32_t stream = unit.inputs()[input];
    StreamState& state = ledger_.stream(stream);
    std::uint64_t& scan = leases.scan[input];
    bool room = true;
    while (room) {
      scan = std::max(scan, state.first_frame());
      if (scan >= state.end_frame()) break;
      if (sends_to_peers(unit) && state.slot(scan).sequence >= settled_) break;
      const Buffer* bytes = frame_bytes(stream, scan);
      if (bytes == nullptr) break;
      const auto view = wire::FrameView::parse(bytes->bytes);
      WEIR_CHECK(view.ok(), "a journaled frame was judged before it was journaled");
      std::size_t at = view->batches_start();
      for (std::uint32_t i = 0; i < view->header().batches && room; ++i) {
        const wire::BatchHeader batch = view->batch(i);
        const BytesView all = view->bytes().subspan(at, batch.bytes);
        at += batch.bytes;
        // What is compressed is not looked into: a range of it is all that is left of the batch.
        const bool packed = batch.compression != 0;
        wire::BatchReader reader(packed ? BytesView() : all);
        const auto place = *unit.find(stream, batch.shard);
        const Cursor& cursor = unit.cursor(place);
        LaneLease::Flow& flow = leases.lanes[place.lane].flows[place.cursor];
        std::uint64_t offset = batch.offset;
        const std::uint64_t end = batch.offset + batch.count;
        while (offset < end && room) {
          // Walk to what was not dispatched yet and is not committed ahead.
          const auto ahead = cursor.ahead.upper_bound(offset);
          const bool inside = ahead != cursor.ahead.begin() && std::prev(ahead)->second > offset;
          // The cursor may have run past ranges that a former life committed ahead.
          const std::uint64_t skip_to =
              std::max({flow.delivered_to, cursor.offset, inside ? std::prev(ahead)->second : 0});
          if (offset < skip_to) {
            for (; offset < std::min(skip_to, end); ++offset) reader.next();
            continue;
          }
          // What lies before a range that is committed already brings the cursor on, and is never held back.
          const bool leads = cursor.ahead.empty() || offset > cursor.ahead.rbegin()->first;
          if (leads && cursor.ahead.size() >= kAheadMax) {
            room = false;
            break;
          }
          const std::uint64_t stop = std::min(end, ahead != cursor.ahead.end() ? ahead->first : end);
          const std::size_t from = reader.position();
          std::uint64_t to = offset;
          if (packed) to = stop;
          while (to < stop && (!several || reader.position() - from < kRangeBytes)) {
            if (!reader.next()) break;
            ++to;
          }
          // A batch that holds fewer records than its directory says goes on as it is: the worker that finds it out
          // gives its stage up with a sentence, which a broker that ended itself could not.
          const bool malformed = to == offset;
          if (malformed) to = stop;
          Piece piece{batch, all, 0, false};
          if (packed) {
            piece = Delivery::cut(batch, all, offset, to);
          } else {
            piece.bytes = malformed ? all.subspan(from) : all.subspan(from, reader.position() - from);
            piece.batch.offset = offset;
            piece.batch.count = static_cast<std::uint32_t>(to - offset);
          }
          Worker* worker = choose(index, piece.bytes.size(), to - offset, topology_.streams[stream].dispatch);
          if (worker == nullptr) {
            room = false;
            break;
          }
          Delivery delivery;
          delivery.add(stream, piece, view->header().watermark);
          const bool fresh =
              flow.ranges.emplace(offset, LaneLease::Sent{offset, to, scan, worker->incarnation, false}).second;
          WEIR_CHECK(fresh && cursor.offset <= offset, "a range is under way once, and not yet committed");
          flow.delivered_to = to;
          flush(*worker, delivery);
          offset = to;
        }
      }
      if (room) ++scan;
    }
  }
}

void Core::send_watermarks(std::uint32_t index) {
  UnitState& unit = ledger_.units()[index];
  UnitLeases& leases = leases_[index];
  if (unit.intake() == Intake::kSplits || unit.finished) return;
  if (unit.intake() == Intake::kRanges) return ledger_.follow_inputs(index);
  std::map<Incarnation, Delivery> deliveries;
  for (std::uint32_t lane = 0; lane < leases.lanes.size(); ++lane) {
    LaneLease& lease = leases.lanes[lane];
    for (std::size_t i = 0; i < unit.lanes[lane].cursors.size(); ++i) {
      const Cursor& cursor = unit.lanes[lane].cursors[i];
      if (unit.rests(cursor.input)) continue;
      const std::uint32_t stream = unit.inputs()[cursor.input];
      const StreamState& state = ledger_.stream(stream);
      const Relocation::Barrier* barrier = unit.barrier(lane);
      const Timestamp watermark =
          barrier != nullptr ? std::min(unit.relocation->watermark, state.watermark()) : state.watermark();
      if (watermark == INT64_MIN) continue;
      Worker* holder = find_worker(lease.holder);
      if (lease.state != LaneLease::State::kHeld || holder == nullptr || holder->state != Worker::State::kReady)
        continue;
      const bool at_head = barrier != nullptr ? lease.flows[i].delivered_to == barrier->offset
                                              : lease.flows[i].delivered_to == state.next_offset(cursor.shard) &&
                                                    holder->scan[cursor.input] >= state.end_frame();
      if (!at_head || watermark <= lease.flows[i].watermark_sent) continue;
      lease.flows[i].watermark_sent = watermark;
      Piece nothing;
      nothing.batch.shard = cursor.shard;
      nothing.batch.offset = lease.flows[i].delivered_to;
      deliveries[lease.holder].add(stream, nothing, watermark);
    }
  }
  for (auto& [incarnation, delivery] : deliveries) flush(*find_worker(incarnation), delivery);
}

std::uint64_t Core::scanned_to(std::uint32_t stream) const {
  std::uint64_t passed = ledger_.stream(stream).end_frame();
  for (std::uint32_t index = 0; index < leases_.size(); ++index) {
    const UnitState& unit = ledger_.units()[index];
    const auto input = std::find(unit.inputs().begin(), unit.inputs().end(), stream);
    if (input == unit.inputs().end()) continue;
    const auto at = static_cast<std::size_t>(input - unit.inputs().begin());
    if (unit.rests(static_cast<std::uint32_t>(at))) continue;
    if (unit.intake() == Intake::kRanges) passed = std::min(passed, leases_[index].scan[at]);
    if (unit.intake() != Intake::kShards) continue;
    for (const auto& [incarnation, worker] : workers_) {
      if (worker.unit == index) passed = std::min(passed, worker.scan[at]);
    }
    for (std::uint32_t lane = 0; lane < leases_[index].lanes.size(); ++lane) {
      const LaneLease::State state = leases_[index].lanes[lane].state;
      const bool waits =
          state == LaneLease::State::kFree || state == LaneLease::State::kRestoring || unit.barrier(lane) != nullptr;
      if (!waits) continue;
      for (const Cursor& cursor : unit.lanes[lane].cursors) {
        if (cursor.input == at && cursor.offset < ledger_.stream(stream).next_offset(cursor.shard)) {
          passed = std::min(passed, cursor.frame);
        }
      }
    }
  }
  passed = std::min(passed, consumers_scanned_to(stream));
  for (const auto& [client, tap] : taps_) {
    if (tap.stream == stream) passed = std::min(passed, tap.frame);
  }
  return passed;
}

void Core::drop_passed_bytes() {
  for (std::uint32_t stream = 0; stream < hot_.streams(); ++stream) {
    StreamState& state = ledger_.stream(stream);
    const std::uint64_t passed = scanned_to(stream);
    for (std::uint64_t frame = std::max(hot_.from(stream), state.first_frame()); frame < passed; ++frame) {
      FrameSlot& slot = state.slot(frame);
      if (!slot.bytes) continue;
      hot_.dropped(stream, slot.bytes.bytes.size());
      slot.bytes = {};
    }
    hot_.passed(stream, std::min(passed, state.end_frame()));
  }
  // What nobody is about to want goes first: the newest frames, which are read last.
  const std::uint64_t most = topology_.broker.memory_bytes / 2;
  for (std::uint32_t stream = 0; stream < hot_.streams() && hot_.total() > most; ++stream) {
    StreamState& state = ledger_.stream(stream);
    const std::uint64_t keep_to = std::max(scanned_to(stream), state.first_frame()) + 4;
    for (std::uint64_t frame = state.end_frame(); frame > keep_to && hot_.total() > most; --frame) {
      FrameSlot& slot = state.slot(frame - 1);
      if (!slot.bytes || !slot.place.written()) continue;
      hot_.dropped_unread(stream, frame - 1, slot.bytes.bytes.size());
      slot.bytes = {};
    }
  }
  hot_bytes_left_ = hot_.total();
}

void Core::release(std::optional<std::int64_t> now_us, std::size_t slots_max) {
  drop_passed_bytes();
  raise_cursor_frames();
  raise_group_frames();
  const std::vector<std::uint64_t> freed = ledger_.release(now_us, slots_max);
  // Not all of it has been dropped: who only looks on may have yet to see what all groups are through with.
  for (std::uint32_t stream = 0; stream < freed.size(); ++stream) hot_.dropped(stream, freed[stream]);
}

void Core::raise_cursor_frames() {
  for (std::uint32_t index = 0; index < leases_.size(); ++index) {
    UnitState& unit = ledger_.units()[index];
    for (std::uint32_t lane = 0; lane < leases_[index].lanes.size(); ++lane) {
      const LaneLease& lease = leases_[index].lanes[lane];
      for (std::size_t i = 0; i < lease.flows.size(); ++i) {
        Cursor& cursor = unit.lanes[lane].cursors[i];
        const LaneLease::Flow& flow = lease.flows[i];
        std::uint64_t frame = UINT64_MAX;
        if (unit.intake() == Intake::kRanges) {
          frame = by_priority(unit, cursor.input) ? flow.walk.frame : leases_[index].scan[cursor.input];
          if (!flow.ranges.empty()) frame = std::min(frame, flow.ranges.begin()->second.frame);
          if (!flow.redeliver.empty()) frame = std::min(frame, flow.redeliver.begin()->second.frame);
        } else {
          const auto holder = workers_.find(lease.holder);
          // Past a barrier frames are scanned that hold records which are not sent yet.
          if (holder == workers_.end() || lease.state != LaneLease::State::kHeld || unit.barrier(lane) != nullptr)
            continue;
          frame = flow.sent.empty() ? holder->second.scan[cursor.input] : flow.sent.front().frame;
        }
        if (frame != UINT64_MAX) cursor.frame = std::max(cursor.frame, frame);
      }
    }
  }
}

}  // namespace weir::core
