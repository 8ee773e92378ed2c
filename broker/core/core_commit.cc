// SPDX-License-Identifier: Apache-2.0
// Transactions: judged, filled in, journaled, settled.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "broker/core/core.h"
#include "sdk/wire/changes.h"

namespace weir::core {

namespace {

constexpr std::uint64_t kMuchPublished = 128 << 10;  ///< unsettled of one worker: it takes part of what all may have
/// The entry's header takes the place of the end of the message's, so that one buffer is received, journaled and
/// delivered: the entry is the message without so many bytes.
constexpr std::size_t kShift = sizeof(wire::MessageHeader) - sizeof(EntryHeader);

/// Nothing can come behind the end of a loop, where its readers have finished: what emits there nevertheless, from
/// `finish`, is wrong, and stays so.
std::optional<std::string> behind_the_end(const Ledger& ledger, const wire::Commit& commit, BytesView message) {
  for (const wire::FrameAt& frame : commit.frames) {
    const std::uint32_t stream = wire::FrameView::parse(message.subspan(frame.position, frame.size))->header().stream;
    if (!ledger.stream(stream).ended) continue;
    return fmt::format(
        "it emits to stream \"{}\", which has ended: what a stage emits when its input has ended must "
        "lead out of its loop",
        ledger.topology().streams[stream].name);
  }
  for (const wire::DirectEmitted& emitted : commit.emitted) {
    if (!ledger.stream(emitted.stream).ended) continue;
    return fmt::format("it emits to stream \"{}\", which has ended", ledger.topology().streams[emitted.stream].name);
  }
  return std::nullopt;
}

}  // namespace

void Core::on_commit(Worker& worker, const Buffer& sent, Monotonic now) {
  Buffer message = sent;
  auto commit = wire::decode_commit(message.bytes, sizeof(wire::MessageHeader));
  if (!commit.ok()) return fence(worker.incarnation, commit.error().message);
  if (commit->transaction <= worker.transactions) {
    // Said before: answered when the first one is (kCommitted carries totals), never sooner.
    return;
  }
  if (const auto wrong = too_large(message)) return fence(worker.incarnation, *wrong);
  if (const auto wrong = judge(worker, *commit, message.bytes)) return fence(worker.incarnation, *wrong);

  if (auto wrong = behind_the_end(ledger_, *commit, message.bytes)) {
    // Last values that came to it too late: all that was meant for its stage has been worked off.
    if (ledger_.units()[worker.unit].finished && takes_from_peers(ledger_.units()[worker.unit]))
      return fence(worker.incarnation, "its stage has finished");
    const std::uint32_t stage = ledger_.units()[worker.unit].stage();
    stage_failed_[stage] = true;
    failed_ = true;
    outside_.notify({Notice::Kind::kStageFailed, stage, worker.index, worker.pid, std::move(*wrong)});
    return fence(worker.incarnation, "it emits behind the end of a stream");
  }
  if (auto full = overfull(*commit)) {
    if (laid_to_library(worker, full->sentence)) return fence(worker.incarnation, full->sentence);
    stage_failed_[full->stage] = true;
    failed_ = true;
    outside_.notify({Notice::Kind::kStageFailed, full->stage, worker.index, worker.pid, std::move(full->sentence)});
    return fence(worker.incarnation, "the room for records that failed is full");
  }

  auto dealt = dealt_out(sent, *commit);
  if (!dealt.ok()) return fence(worker.incarnation, dealt.error().message);
  if (dealt->owner != sent.owner) {
    message = std::move(*dealt);
    commit = wire::decode_commit(message.bytes, sizeof(wire::MessageHeader));
    WEIR_CHECK(commit.ok(), "a commit is dealt out as it was, but for the shards of its records");
    if (const auto wrong = too_large(message)) return fence(worker.incarnation, *wrong);
  }

  for (const wire::Consumed& range : commit->consumed) enter_consumed(worker, range);
  Durability durability = Durability::kNone;
  for (const wire::FrameAt& frame : commit->frames) {
    const auto bytes = message.bytes.subspan(frame.position, frame.size);
    const std::uint32_t stream = wire::FrameView::parse(bytes)->header().stream;
    patch_frame(bytes);
    durability = std::max(durability, topology_.streams[stream].durability);
    hot_.came_in(stream, frame.size);
  }
  for (const wire::DirectEmitted& emitted : commit->emitted)
    durability = std::max(durability, topology_.streams[emitted.stream].durability);
  if (commit->frames.empty() && commit->emitted.empty()) {
    for (const std::uint32_t stream : ledger_.units()[worker.unit].inputs()) {
      durability = std::max(durability, topology_.streams[stream].durability);
    }
    if (ledger_.units()[worker.unit].inputs().empty()) durability = topology_.broker.durability;
  }
  const EntryHeader header{
      EntryType::kTransaction, {}, ledger_.units()[worker.unit].stage(), worker.incarnation.value()};
  std::memcpy(message.bytes.data() + kShift, &header, sizeof(header));
  const bool hurries = awaited(worker, *commit, message.bytes);
  enter_direct(worker, *commit);
  const Sequence sequence = append(message.part(kShift, message.bytes.size() - kShift), durability, hurries);
  enter_lost(published_.collect());

  if (!leases_[worker.unit].requeued.empty()) forget_requeued(worker.unit);
  if (!leases_[worker.unit].suspects.empty()) clear_suspects(worker.unit, *commit);
  worker.transactions = commit->transaction;
  worker.accepted_at = now;
  worker.untold_bytes += sent.bytes.size();
  if (keeps_local(ledger_.units()[worker.unit])) worker.undurable.emplace_back(commit->transaction, sequence);
  const std::uint64_t cost = wire::publish_cost(wire::body_of(sent.bytes).size());
  worker.unsettled.push_back({commit->transaction, sequence, cost});
  worker.publish_accepted += cost;
  if (worker.publish_accepted - worker.publish_settled >= kMuchPublished) worker.publishes_much_at = now;
  count(worker, *commit);
  if (ledger_.units()[worker.unit].intake() == Intake::kSplits) {
    leases_[worker.unit].lanes.resize(ledger_.units()[worker.unit].lanes.size());
    if (ledger_.units()[worker.unit].enumeration_ended && leases_[worker.unit].enumerator == worker.incarnation) {
      leases_[worker.unit].enumerator = Incarnation();
    }
    leases_[worker.unit].dirty = true;
  }
  if (now - worker.committed_told >= std::chrono::seconds(1)) {
    worker.committed_told = now;
    outside_.notify({Notice::Kind::kCommitted, ledger_.units()[worker.unit].stage(), worker.index, worker.pid, ""});
  }
}

bool Core::awaited(const Worker& worker, const wire::Commit& commit, BytesView bytes) const {
  if (draining_ || worker.leaving) return true;
  const bool ends =
      commit.enumeration_ended || !commit.finished.empty() ||
      std::any_of(commit.splits.begin(), commit.splits.end(), [](const auto& split) { return split.ended; });
  if (ends || !commit.emitted.empty()) return true;
  return std::any_of(commit.frames.begin(), commit.frames.end(), [&](const wire::FrameAt& frame) {
    return leaves_[wire::FrameView::parse(bytes.subspan(frame.position, frame.size))->header().stream];
  });
}

namespace {

/// Where a person finds letters of which some have no room: a list that is empty explains nothing.
std::string where_to_look(bool any_kept, BytesView first) {
  if (any_kept) return "`weir dead-letters list` shows those that were kept before";
  const auto letter = wire::decode_dead_letter(first);
  return "they came in one transaction, so that none is kept and `weir dead-letters list` shows none of them" +
         (letter ? fmt::format("; the first is of stream \"{}\", shard {}, offset {}: {}", letter->stream,
                               letter->shard.value(), letter->offset.value(), letter->reason)
                 : std::string());
}

}  // namespace

std::optional<Core::Overfull> Core::overfull(const wire::Commit& commit) const {
  if (commit.causes.empty()) return std::nullopt;  // whatever fails has one
  struct Added {
    std::uint64_t letters = 0;
    std::uint64_t parked = 0;
    std::uint64_t unparked = 0;
    BytesView letter_first;
    BytesView parked_first;
  };
  std::map<std::uint32_t, Added> by_stage;
  for (const wire::ChangesOf& changes : commit.changes) {
    wire::ChangesReader reader(changes.bytes);
    while (const auto change = reader.next_beside_state()) {
      if (change->space == wire::Space::kDeadLetter && change->value) {
        Added& added = by_stage[changes.stage];
        if (added.letters == 0) added.letter_first = *change->value;
        added.letters += change->key.size() + change->value->size();
      }
      if (change->space != wire::Space::kParked) continue;
      const auto name = wire::decode_parked_name(change->name);
      Added& added = by_stage[changes.stage];
      if (change->value && added.parked == 0) added.parked_first = *change->value;
      (change->value ? added.parked : added.unparked) += name ? name->bytes : 0;
    }
  }
  for (const auto& [stage, added] : by_stage) {
    const StageSpec& spec = topology_.stages[stage];
    if (added.letters != 0 && ledger_.dead_letter_bytes(stage) + added.letters > spec.dead_letter_bytes_max) {
      return Overfull{
          stage, fmt::format("its dead letters take more than kept_bytes_max ({} bytes); {}; mend the cause or raise "
                             "on_error.kept_bytes_max, and run again",
                             spec.dead_letter_bytes_max,
                             where_to_look(ledger_.dead_letter_bytes(stage) != 0, added.letter_first))};
    }
    const std::uint64_t parked = ledger_.parked_bytes(stage) + added.parked;
    if (added.parked > added.unparked && parked - std::min(parked, added.unparked) > spec.parked_bytes_max) {
      return Overfull{
          stage,
          fmt::format("its parked records take more than parked_bytes_max ({} bytes); {}; mend the cause or raise "
                      "on_error.parked_bytes_max, and run again",
                      spec.parked_bytes_max, where_to_look(ledger_.parked_bytes(stage) != 0, added.parked_first))};
    }
  }
  return std::nullopt;
}

std::optional<std::string> Core::too_large(const Buffer& message) const {
  const std::uint64_t bytes = message.bytes.size() - kShift;
  if (bytes <= options_.entry_bytes_max) return std::nullopt;
  return fmt::format(
      "its transaction takes {} bytes of the journal, and one entry of that {} at most: let it emit and keep less for "
      "one record, or begin a new directory with a larger broker.segment_size",
      bytes, options_.entry_bytes_max);
}

std::optional<std::string> Core::judge(const Worker& worker, const wire::Commit& commit, BytesView bytes) const {
  const UnitState& unit = ledger_.units()[worker.unit];
  if (commit.transaction != worker.transactions + 1) return "it skipped a transaction";
  for (const wire::Consumed& range : commit.consumed) {
    if (auto wrong = judge_consumed(worker, range)) return wrong;
  }
  std::vector<wire::Consumed> ranges_by_place = commit.consumed;
  const auto place = [](const wire::Consumed& range) { return std::tuple(range.stream, range.shard, range.from); };
  std::sort(ranges_by_place.begin(), ranges_by_place.end(),
            [&](const auto& a, const auto& b) { return place(a) < place(b); });
  for (std::size_t i = 1; i < ranges_by_place.size(); ++i) {
    const wire::Consumed& before = ranges_by_place[i - 1];
    const wire::Consumed& range = ranges_by_place[i];
    if (before.stream == range.stream && before.shard == range.shard && range.from < before.to)
      return "it consumes a record twice";
  }
  const auto holds = [&](std::uint32_t lane) {
    const auto& lanes = leases_[worker.unit].lanes;
    return lane < lanes.size() && lanes[lane].holder == worker.incarnation;
  };
  const bool ranges = unit.intake() == Intake::kRanges;
  if ((!commit.splits_found.empty() || commit.enumeration_ended) &&
      leases_[worker.unit].enumerator != worker.incarnation) {
    return "it names splits without the lease to do so";
  }
  for (const wire::SplitMoved& split : commit.splits) {
    if (unit.intake() != Intake::kSplits || !holds(split.split)) return "it moves a split that is not leased to it";
  }
  for (const wire::Advanced& advanced : commit.advanced) {
    if (!holds(advanced.shard)) return "it advances a shard that is not leased to it";
  }
  for (const std::uint32_t lane : commit.finished) {
    if (!holds(lane)) return "it finishes a shard that is not leased to it";
    if (ledger_.requeued_waits(unit, lane)) return "it finishes a shard that requeued records wait for";
    for (const Cursor& cursor : unit.lanes[lane].cursors) {
      if (unit.rests(cursor.input)) continue;
      const std::uint32_t stream = unit.inputs()[cursor.input];
      std::uint64_t consumed = cursor.offset;
      for (const wire::DirectTaken& taken : commit.taken) {
        if (taken.stream == stream && counts_arrivals(stream)) consumed += taken.records + taken.lost;
      }
      for (const wire::Consumed& range : commit.consumed) {
        if (range.stream == stream && range.shard == cursor.shard) consumed = std::max(consumed, range.to);
      }
      if (!ledger_.stream(stream).ended || consumed != ledger_.stream(stream).next_offset(cursor.shard)) {
        return "it finishes a shard whose input has not ended";
      }
    }
  }
  for (const wire::Counted& counted : commit.counters) {
    if (!unit.has(counted.stage)) return "it counts for a stage that it does not run";
  }
  for (const wire::CountedCause& counted : commit.causes) {
    if (!unit.has(counted.stage)) return "it counts for a stage that it does not run";
  }
  std::set<std::uint64_t> worked_off;
  for (const wire::ChangesOf& changes : commit.changes) {
    if (!unit.has(changes.stage)) return "it changes the state of a stage that it does not run";
    const bool known = ranges ? changes.shard < unit.lanes.size() : holds(changes.shard);
    if (!known) return "it changes the state of a shard that is not leased to it";
    if (auto wrong = judge_requeued(worker, changes, worked_off)) return wrong;
  }
  const auto writes = [&](std::uint32_t stream) {
    return std::find(unit.outputs().begin(), unit.outputs().end(), stream) != unit.outputs().end();
  };
  std::set<std::uint32_t> streams;
  for (const wire::DirectEmitted& emitted : commit.emitted) {
    const bool fits = writes(emitted.stream) && is_direct(topology_.streams[emitted.stream].transport) &&
                      emitted.records != 0 && emitted.records <= emitted.bytes &&
                      ledger_.has_numbers_for(emitted, commit.readers(emitted.stream));
    if (!fits || !streams.insert(emitted.stream).second)
      return "it emits past the broker to a stream that does not go there, or twice to one, or more than there can be";
  }
  std::set<std::pair<std::uint32_t, std::uint64_t>> links;
  for (const wire::DirectTaken& taken : commit.taken) {
    const auto at = unit.find(taken.stream, 0);
    if (!at || unit.rests(unit.cursor(*at).input) || !is_direct(topology_.streams[taken.stream].transport) ||
        !links.insert({taken.stream, taken.producer}).second)
      return "it takes from peers what it does not read, or twice from one";
    if (std::string wrong = judge_taken(worker, taken); !wrong.empty()) return wrong;
  }
  if (auto wrong = judge_published(worker, commit)) return wrong;
  for (const wire::FrameAt& frame : commit.frames) {
    const auto view = wire::FrameView::parse(bytes.subspan(frame.position, frame.size));
    const wire::FrameHeader header = view->header();
    if (!writes(header.stream) || is_direct(topology_.streams[header.stream].transport) ||
        !streams.insert(header.stream).second) {
      return "it emits to a stream that is not its output, or twice to one";
    }
    for (std::uint32_t i = 0; i < header.batches; ++i) {
      const bool rises = i == 0 || view->batch(i - 1).shard < view->batch(i).shard;
      if (!rises || view->batch(i).shard >= ledger_.stream(header.stream).shards())
        return "its frame names shards that are not there";
    }
  }
  return std::nullopt;
}

std::optional<std::string> Core::judge_consumed(const Worker& worker, const wire::Consumed& range) const {
  const UnitState& unit = ledger_.units()[worker.unit];
  if (range.stream >= topology_.streams.size()) return "it consumes an unknown stream";
  const auto at = unit.find(range.stream, range.shard);
  if (!at) return "it consumes what it does not read";
  const LaneLease& lease = leases_[worker.unit].lanes[at->lane];
  const LaneLease::Flow& flow = lease.flows[at->cursor];
  if (unit.intake() == Intake::kShards) {
    if (lease.holder != worker.incarnation) return "it consumes a shard that is not leased to it";
    if (range.from != unit.cursor(*at).offset || range.to > flow.delivered_to) return "it consumes records out of turn";
    return std::nullopt;
  }
  std::uint64_t from = range.from;
  for (auto it = flow.ranges.find(from); from < range.to; ++it) {
    if (it == flow.ranges.end() || it->first != from || it->second.to_worker != worker.incarnation) {
      return "it consumes a range that is not leased to it";
    }
    from = it->second.to;
  }
  return std::nullopt;
}

void Core::enter_consumed(const Worker& worker, const wire::Consumed& range) {
  UnitState& unit = ledger_.units()[worker.unit];
  const auto at = *unit.find(range.stream, range.shard);
  LaneLease::Flow& flow = leases_[worker.unit].lanes[at.lane].flows[at.cursor];
  Cursor& cursor = unit.cursor(at);
  if (unit.intake() == Intake::kShards) {
    while (!flow.sent.empty() && flow.sent.front().from < range.to) {
      LaneLease::Sent& first = flow.sent.front();
      cursor.frame = std::max(cursor.frame, first.frame);
      if (first.to > range.to) {
        first.from = range.to;
        break;
      }
      if (!first.part) cursor.frame = std::max(cursor.frame, first.frame + 1);
      flow.sent.pop_front();
    }
    return;
  }
  for (auto it = flow.ranges.find(range.from); it != flow.ranges.end() && it->first < range.to;) {
    if (it->second.to > range.to) {
      LaneLease::Sent rest = it->second;
      rest.from = range.to;
      flow.ranges.erase(it);
      flow.ranges.emplace(rest.from, rest);
      break;
    }
    it = flow.ranges.erase(it);
  }
}

void Core::patch_frame(std::span<std::byte> frame) {
  const auto view = wire::FrameView::parse(frame);
  const wire::FrameHeader header = view->header();
  const StreamState& stream = ledger_.stream(header.stream);
  wire::patch_watermark(frame, stream.watermark());
  for (std::uint32_t i = 0; i < header.batches; ++i) {
    wire::patch_offset(frame, i, Offset(stream.next_offset(view->batch(i).shard)));
  }
  stream_probes_[header.stream].records += header.records;
  stream_probes_[header.stream].bytes += frame.size();
}

void Core::count(const Worker& worker, const wire::Commit& commit) {
  for (const wire::Counted& counted : commit.counters) {
    StageProbe& probe = stage_probes_[{counted.stage, worker.index}];
    probe.records_in += counted.records_in;
    probe.records_out += counted.records_out;
    probe.dead_letters += counted.dead_letters;
    probe.late += counted.late;
  }
  for (const wire::CountedCause& counted : commit.causes) {
    if (!counted.dropped) {
      stage_probes_[{counted.stage, worker.index}].errors[counted.cause] += counted.by;
      continue;
    }
    // A record is dropped on its way in; a source has only a way out.
    const StageSpec& spec = topology_.stages[counted.stage];
    const auto& ports = spec.inputs.empty() ? spec.outputs : spec.inputs;
    stream_probes_[ports.front().stream].dropped[counted.cause] += counted.by;
  }
}

void Core::settle(Worker& worker) {
  while (!worker.unsettled.empty() && worker.unsettled.front().sequence < settled_) {
    worker.settled = worker.unsettled.front().transaction;
    worker.publish_settled += worker.unsettled.front().bytes;
    worker.unsettled.pop_front();
  }
}

}  // namespace weir::core
