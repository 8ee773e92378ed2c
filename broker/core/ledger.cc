// SPDX-License-Identifier: Apache-2.0
#include "broker/core/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sdk/topology/hot_keys.h"
#include "sdk/topology/resolved_file.h"
#include "sdk/topology/revise.h"
#include "sdk/wire/changes.h"

namespace weir::core {
namespace {

Status corrupt(Sequence sequence, std::string_view what) {
  return {Code::kCorrupt, fmt::format("journal entry {} {}", sequence.value(), what)};
}

/// Enters a change of Space::kParked into `bytes`. False where it is malformed.
bool count_parked(const wire::Change& change, std::uint64_t& bytes) {
  const auto name = wire::decode_parked_name(change.name);
  if (!name) return false;
  if (change.value) {
    bytes += name->bytes;
  } else {
    bytes -= std::min<std::uint64_t>(bytes, name->bytes);
  }
  return true;
}

/// Whatever has a number in `old` has the same in `next`, and what was read can be read on.
bool may_follow(const std::vector<UnitState>& units, const Topology& old, const Topology& next) {
  const auto starts_with = [](const auto& all, const auto& first) {
    return all.size() >= first.size() && std::equal(first.begin(), first.end(), all.begin(),
                                                    [](const auto& a, const auto& b) { return a.name == b.name; });
  };
  if (!starts_with(next.streams, old.streams) || !starts_with(next.stages, old.stages)) return false;
  if (!weir::revise(old, next).ok()) return false;
  return std::all_of(units.begin(), units.end(), [&](const UnitState& unit) {
    const UnitState after(next, unit.stage());
    const auto& inputs = after.inputs();
    return !unit.begun || (after.intake() == unit.intake() && inputs.size() >= unit.inputs().size() &&
                           std::equal(unit.inputs().begin(), unit.inputs().end(), inputs.begin()));
  });
}

}  // namespace

Ledger::Ledger(Topology topology) { revise(std::move(topology)); }

std::uint64_t Ledger::kept_from(std::uint32_t stream, std::uint32_t shard) const {
  std::optional<std::uint64_t> least;
  for (const UnitState& unit : units_) {
    const auto at = unit.find(stream, shard);
    if (!at || unit.rests(unit.cursor(*at).input)) continue;
    least = std::min(least.value_or(UINT64_MAX), unit.cursor(*at).offset);
  }
  if (!topology_.streams[stream].resting) {
    for (const auto& [name, group] : groups_[stream])
      least = std::min(least.value_or(UINT64_MAX), group.cursors[shard].offset);
  }
  return std::max(least.value_or(0), streams_[stream].kept_from(shard));
}

void Ledger::revise(Topology next) {
  for (std::uint32_t stream = 0; stream < streams_.size(); ++stream) {
    for (std::uint32_t shard = 0; shard < streams_[stream].shards(); ++shard)
      streams_[stream].raise_kept_from(shard, kept_from(stream, shard));
  }
  scaled_.resize(next.stages.size());
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) {
    // Whoever changes the number in the file wants that one.
    const bool as_before = next.stages[stage].workers == topology_.stages[stage].workers &&
                           next.stages[stage].workers_max == topology_.stages[stage].workers_max &&
                           next.stages[stage].host == stage && !next.stages[stage].resting;
    if (!as_before) scaled_[stage] = 0;
  }
  revise_libraries(next);
  topology_ = std::move(next);
  for (std::size_t stream = streams_.size(); stream < topology_.streams.size(); ++stream)
    streams_.emplace_back(topology_.streams[stream]);
  groups_.resize(streams_.size());
  std::vector<UnitState> before = std::move(units_);
  units_.clear();
  // Who begins in front of a move of boundaries follows it, as those do whose place it begins at.
  std::map<std::uint32_t, Relocation> relocations;
  for (const UnitState& unit : before) {
    if (!unit.relocation) continue;
    const auto found = relocations.emplace(unit.relocation->stream, *unit.relocation).first;
    found->second.copied = false;
  }
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) {
    if (topology_.stages[stage].host != stage) continue;
    UnitState unit(topology_, stage);
    for (Lane& lane : unit.lanes) {
      for (Cursor& cursor : lane.cursors) cursor.offset = streams_[unit.inputs()[cursor.input]].kept_from(cursor.shard);
    }
    const auto same = std::find_if(before.begin(), before.end(), [&](const auto& old) { return old.stage() == stage; });
    if (same != before.end() && same->begun) {
      unit.take_over(std::move(*same));
    } else if (!unit.resting()) {
      for (const std::uint32_t stream : unit.inputs()) {
        const auto found = relocations.find(stream);
        if (found == relocations.end()) continue;
        const auto& barriers = found->second.barriers;
        const bool in_front = std::any_of(barriers.begin(), barriers.end(), [&](const Relocation::Barrier& barrier) {
          return unit.cursor(*unit.find(stream, barrier.shard)).offset < barrier.offset;
        });
        if (in_front) unit.relocation = found->second;
      }
    }
    if (scaled_[stage] > unit.workers_max()) scaled_[stage] = 0;
    units_.push_back(std::move(unit));
  }
  unit_of_.resize(topology_.stages.size());
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) {
    const auto host = std::find_if(units_.begin(), units_.end(),
                                   [&](const UnitState& unit) { return unit.stage() == topology_.stages[stage].host; });
    unit_of_[stage] = static_cast<std::uint32_t>(host - units_.begin());
  }
  changelogs_.resize(topology_.stages.size());
  totals_.resize(topology_.stages.size());
  dead_letter_bytes_.resize(topology_.stages.size());
  parked_bytes_.resize(topology_.stages.size());
  requeued_.resize(topology_.stages.size());
  for (std::uint32_t stream = 0; stream < streams_.size(); ++stream) refresh_unclaimed(stream);
  align_readers();
  find_loops();
  count_backlog();
  refresh_ends();
}

void Ledger::align_readers() {
  for (std::uint32_t stream = 0; stream < streams_.size(); ++stream) {
    if (topology_.streams[stream].transport != Transport::kPubSub) continue;
    std::uint64_t most = 0;
    const auto each = [&](const auto& act) {
      for (UnitState& unit : units_) {
        const auto at = unit.find(stream, 0);
        if (at && !unit.rests(unit.cursor(*at).input)) act(unit.cursor(*at).offset);
      }
    };
    each([&](std::uint64_t& offset) { most = std::max(most, offset); });
    each([&](std::uint64_t& offset) { offset = most; });
  }
}

Status Ledger::apply(Sequence sequence, const Buffer& payload, Place place, bool keep_bytes) {
  if (sequence != next_) return corrupt(sequence, fmt::format("comes where entry {} is due", next_.value()));
  const auto header = decode_header(payload.bytes);
  if (!header.ok()) return {header.error().code, corrupt(sequence, header.error().message).error().message};
  ++next_;
  const BytesView body = payload.bytes.subspan(sizeof(EntryHeader));
  switch (header->type) {
    case EntryType::kTopology:
      return apply_topology(sequence, body);
    case EntryType::kTransaction:
      return apply_transaction(sequence, *header, payload, place, keep_bytes);
    case EntryType::kPublish:
      return apply_publish(sequence, payload, place, keep_bytes);
    case EntryType::kSnapshot: {
      const auto taken = decode_snapshot(body);
      if (!taken.ok()) return taken.error();
      if (header->unit >= changelogs_.size()) return corrupt(sequence, "is a snapshot of an unknown stage");
      if (taken->file == 0 || taken->file > kNumberMax || taken->through > sequence.value())
        return corrupt(sequence, "is a snapshot without a number, or of what comes behind it");
      changelogs_[header->unit].snapshot(*taken);
      next_file_ = std::max(next_file_, taken->file + 1);
      return {};
    }
    case EntryType::kCopied:
      return apply_copied(sequence, payload, place);
    case EntryType::kCheckpoint:
      return {};
    case EntryType::kLetters:
      return apply_letters(sequence, *header, payload, place);
    case EntryType::kParked:
      return apply_parked(sequence, *header, payload);
    case EntryType::kReplay:
      return apply_replay(sequence, *header, payload);
    case EntryType::kLost:
      return apply_lost(sequence, payload);
    case EntryType::kGroup: {
      const auto moved = decode_group_moved(body);
      if (!moved.ok()) return corrupt(sequence, moved.error().message);
      const std::string wrong = apply_group(*moved);
      return wrong.empty() ? Status() : corrupt(sequence, wrong);
    }
    case EntryType::kScaled: {
      const auto scaled = decode_scaled(body);
      if (!scaled.ok()) return corrupt(sequence, scaled.error().message);
      const std::string wrong = apply_scaled(header->unit, *scaled);
      return wrong.empty() ? Status() : corrupt(sequence, wrong);
    }
    case EntryType::kUpgraded: {
      const auto upgraded = decode_upgraded(body);
      if (!upgraded.ok()) return corrupt(sequence, upgraded.error().message);
      const std::string wrong = apply_upgraded(header->unit, *upgraded);
      return wrong.empty() ? Status() : corrupt(sequence, wrong);
    }
    case EntryType::kBoundaries: {
      auto moved = decode_boundaries_moved(body);
      if (!moved.ok()) return corrupt(sequence, moved.error().message);
      const std::string wrong = apply_boundaries(std::move(*moved));
      return wrong.empty() ? Status() : corrupt(sequence, wrong);
    }
    case EntryType::kRelocated: {
      const auto relocated = decode_relocated(body);
      if (!relocated.ok()) return corrupt(sequence, relocated.error().message);
      const std::string wrong = apply_relocated(sequence, header->unit, *relocated, payload, place);
      return wrong.empty() ? Status() : corrupt(sequence, wrong);
    }
  }
  return {};
}

Status Ledger::apply_topology(Sequence sequence, BytesView body) {
  const auto belongs = [&](std::string_view name) {
    if (name == topology_.name) return Status();
    return corrupt(sequence, fmt::format("belongs to the topology \"{}\", not to \"{}\"", name, topology_.name));
  };
  const bool name_only = body.empty() || as_text(body.first(1)) != "{";  // of an earlier version
  if (name_only) {
    if (Status status = belongs(as_text(body)); !status.ok()) return status;
    opened_ = true;
    return {};
  }
  auto next = decode_resolved(as_text(body));
  if (!next.ok())
    return corrupt(sequence, fmt::format("holds a topology that cannot be read: {}", next.error().message));
  if (Status status = belongs(next->name); !status.ok()) return status;
  if (!opened_) {
    *this = Ledger(std::move(*next));  // whatever was expected: nothing has a number yet
  } else if (may_follow(units_, topology_, *next)) {
    revise(std::move(*next));
  } else {
    return corrupt(sequence, "gives streams or stages other numbers or shapes than they had");
  }
  next_ = sequence.plus(1);
  opened_ = says_topology_ = true;
  return {};
}

Status Ledger::apply_transaction(Sequence sequence, const EntryHeader& header, const Buffer& payload, Place place,
                                 bool keep) {
  const auto commit = wire::decode_commit(payload.bytes, sizeof(EntryHeader));
  if (!commit.ok()) return corrupt(sequence, commit.error().message);
  if (header.unit >= topology_.stages.size()) return corrupt(sequence, "is of an unknown stage");
  UnitState& unit = units_[unit_of_[header.unit]];
  unit.begun = true;

  for (const wire::Consumed& range : commit->consumed) {
    const auto at = unit.find(range.stream, range.shard);
    if (!at) {
      return corrupt(sequence, fmt::format("consumes stream {}, shard {}, which its group does not read", range.stream,
                                           range.shard));
    }
    if (range.from >= range.to || range.to > streams_[range.stream].next_offset(range.shard) ||
        !unit.consume(*at, range.from, range.to)) {
      const Cursor& cursor = unit.cursor(*at);
      return corrupt(
          sequence,
          fmt::format(
              "consumes [{}, {}) of \"{}\" shard {}, which its group cannot (cursor {}, {} ranges ahead{})", range.from,
              range.to, topology_.streams[range.stream].name, range.shard, cursor.offset, cursor.ahead.size(),
              cursor.ahead.empty()
                  ? std::string()
                  : fmt::format(", the first [{}, {})", cursor.ahead.begin()->first, cursor.ahead.begin()->second)));
    }
    unit.records_backlog -= range.to - range.from;
  }
  if (!commit->splits_found.empty() && unit.intake() != Intake::kSplits)
    return corrupt(sequence, "finds splits of a stage that is no source");
  unit.add_splits(commit->splits_found);
  unit.enumeration_ended |= commit->enumeration_ended;
  for (const wire::SplitMoved& split : commit->splits) {
    if (unit.intake() != Intake::kSplits || split.split >= unit.lanes.size())
      return corrupt(sequence, "moves an unknown split");
    Lane& lane = unit.lanes[split.split];
    lane.position.assign(split.position.begin(), split.position.end());
    lane.split_ended |= split.ended;
    if (unit.stages().size() == 1) lane.finished = lane.split_ended;
  }
  for (const wire::Advanced& advanced : commit->advanced) {
    if (advanced.shard >= unit.lanes.size()) return corrupt(sequence, "advances an unknown shard");
    Timestamp& known = unit.lanes[advanced.shard].advanced;
    known = std::max(known, advanced.watermark);
  }
  for (const std::uint32_t lane : commit->finished) {
    if (lane >= unit.lanes.size()) return corrupt(sequence, "finishes an unknown shard");
    unit.lanes[lane].finished = true;
  }
  for (const wire::Counted& counted : commit->counters) {
    if (counted.stage >= totals_.size()) return corrupt(sequence, "counts for an unknown stage");
    wire::Counted& total = totals_[counted.stage];
    total.records_in += counted.records_in;
    total.records_out += counted.records_out;
    total.dead_letters += counted.dead_letters;
    total.late += counted.late;
  }
  for (const wire::ChangesOf& changes : commit->changes) {
    if (changes.stage >= changelogs_.size() || !unit.has(changes.stage) ||
        changes.shard >= std::max<std::size_t>(1, unit.lanes.size())) {
      return corrupt(sequence, "changes the state of an unknown stage or shard");
    }
    bool only_position = true;
    wire::ChangesReader reader(changes.bytes);
    while (const auto change = reader.next_beside_state()) {
      if (change->space == wire::Space::kPosition && change->value) {
        if (changes.shard >= unit.lanes.size()) return corrupt(sequence, "moves a position of an unknown shard");
        unit.lanes[changes.shard].position.assign(change->value->begin(), change->value->end());
        continue;
      }
      if (change->space == wire::Space::kRequeued) {
        const auto number = wire::requeued_number(change->key);
        if (!number || change->value || requeued_[changes.stage].erase(*number) == 0)
          return corrupt(sequence, "works off a requeued record that does not wait");
        continue;
      }
      only_position = false;
      if (change->space == wire::Space::kDeadLetter && change->value) {
        dead_letter_bytes_[changes.stage] += change->key.size() + change->value->size();
      }
      if (change->space == wire::Space::kParked && !count_parked(*change, parked_bytes_[changes.stage]))
        return corrupt(sequence, "parks a record under a malformed name");
    }
    if (!reader.ok()) return corrupt(sequence, "has malformed state changes");
    if (only_position && !reader.passed_state()) continue;
    Place at = place;
    at.at = static_cast<std::uint32_t>(changes.bytes.data() - payload.bytes.data());
    at.size = static_cast<std::uint32_t>(changes.bytes.size());
    changelogs_[changes.stage].append({sequence, changes.shard, at});
    // Once for all shards of a stage: its changelog places whatever is of this sequence.
    const bool noted = !unplaced_.empty() && unplaced_.back().sequence == sequence &&
                       unplaced_.back().kind == Unplaced::Kind::kChanges && unplaced_.back().index == changes.stage;
    if (!place.written() && !noted) unplaced_.push_back({sequence, Unplaced::Kind::kChanges, changes.stage});
  }
  for (const wire::FrameAt& frame : commit->frames) {
    Place at = place;
    at.at = static_cast<std::uint32_t>(frame.position);
    at.size = static_cast<std::uint32_t>(frame.size);
    const auto view = wire::FrameView::parse(payload.bytes.subspan(frame.position, frame.size));
    if (!view.ok()) return corrupt(sequence, view.error().message);
    Status status = append_frame(sequence, view->header().stream, payload.part(frame.position, frame.size), at, keep);
    if (!status.ok()) return status;
  }
  for (const wire::DirectEmitted& emitted : commit->emitted) {
    if (emitted.stream >= streams_.size() || !is_direct(topology_.streams[emitted.stream].transport))
      return corrupt(sequence, "emits past the broker to a stream that goes through it");
    const Transport transport = topology_.streams[emitted.stream].transport;
    const std::uint32_t readers = commit->readers(emitted.stream);
    if (!has_numbers_for(emitted, readers)) return corrupt(sequence, "emits more records than there can be");
    // What was acknowledged before is not on its way any more.
    const std::uint64_t arrivals = counts_arrivals(transport) ? emitted.records * readers : 0;
    streams_[emitted.stream].pass_by(emitted.records, emitted.bytes, arrivals);
    if (readers == 0) streams_[emitted.stream].lost += emitted.records;  // nobody was there
    for (UnitState& reader : units_) {
      const auto at = reader.find(emitted.stream, 0);
      if (at && !reader.rests(reader.cursor(*at).input)) reader.records_backlog += arrivals;
    }
  }
  for (const wire::DirectTaken& taken : commit->taken) {
    if (!unit.find(taken.stream, 0)) return corrupt(sequence, "takes records past the broker that it does not read");
    if (!counts_arrivals(topology_.streams[taken.stream].transport)) continue;
    if (std::max(taken.records, taken.lost) > kNumberMax ||
        !leave_backlog(taken.stream, taken.records + taken.lost, taken.lost))
      return corrupt(sequence, "takes records past the broker that nobody emitted");
  }
  if (!commit->advanced.empty() || !commit->finished.empty() || !commit->splits.empty() || commit->enumeration_ended) {
    refresh_watermarks(unit);
  }
  const bool ends =
      std::any_of(commit->splits.begin(), commit->splits.end(), [](const auto& split) { return split.ended; });
  const bool stands_still = unit.loop != 0 && !loop_ended(unit.loop) && worked_off(unit.loop);
  if (!commit->finished.empty() || commit->enumeration_ended || ends || stands_still) refresh_ends();
  return {};
}

bool Ledger::has_numbers_for(const wire::DirectEmitted& emitted, std::uint32_t readers) const {
  const StreamState& stream = streams_[emitted.stream];
  const std::uint64_t each = std::max(readers, 1U);
  const std::uint64_t so_far = std::min(kNumberMax, stream.next_offset(0) + stream.lost);
  return emitted.records <= (kNumberMax - so_far) / each;
}

std::uint64_t Ledger::on_the_way(std::uint32_t stream) const {
  std::uint64_t most = 0;
  for (const UnitState& unit : units_) {
    const auto at = unit.find(stream, 0);
    if (at && !unit.rests(unit.cursor(*at).input))
      most = std::max(most, streams_[stream].next_offset(0) - unit.cursor(*at).offset);
  }
  return most;
}

bool Ledger::leave_backlog(std::uint32_t stream, std::uint64_t records, std::uint64_t lost) {
  if (stream >= streams_.size() || !is_direct(topology_.streams[stream].transport)) return false;
  if (records > on_the_way(stream) || lost > records) return false;
  for (UnitState& unit : units_) {
    const auto at = unit.find(stream, 0);
    if (!at || unit.rests(unit.cursor(*at).input)) continue;
    unit.cursor(*at).offset += records;
    unit.records_backlog -= records;
  }
  streams_[stream].lost += lost;
  return true;
}

Status Ledger::apply_lost(Sequence sequence, const Buffer& payload) {
  const auto lost = decode_lost(payload.bytes.subspan(sizeof(EntryHeader)));
  if (!lost.ok()) return corrupt(sequence, lost.error().message);
  for (const Lost& one : *lost) {
    if (!leave_backlog(one.stream, one.records, one.records))
      return corrupt(sequence, "loses records that are not on their way");
  }
  refresh_ends();
  return {};
}

Status Ledger::apply_copied(Sequence sequence, const Buffer& payload, Place place) {
  const auto items = decode_copied(payload.bytes, sizeof(EntryHeader));
  if (!items.ok()) return corrupt(sequence, items.error().message);
  for (const CopyItem& item : *items) {
    const std::size_t known = item.kind == CopyItem::Kind::kFrame ? streams_.size() : changelogs_.size();
    if (item.index >= known) return corrupt(sequence, "copies something of an unknown stream or stage");
    // Until the copy is written, its items are read where they lay.
    if (!place.written()) {
      unplaced_.push_back({sequence, Unplaced::Kind::kCopy, item.index, 0, item});
    } else {
      this->place(item, {place.segment, place.offset, item.place.at, item.place.size});
    }
  }
  return {};
}

void Ledger::place(const CopyItem& item, const Place& place) {
  if (!place_of(item).written()) return;
  if (item.kind == CopyItem::Kind::kFrame) {
    streams_[item.index].place(item.number, place);
  } else {
    changelogs_[item.index].place(Sequence(item.number), item.lane, place);
  }
}

Place Ledger::place_of(const CopyItem& item) const {
  if (item.kind == CopyItem::Kind::kFrame) {
    const StreamState& stream = streams_[item.index];
    return stream.holds(item.number) ? stream.slot(item.number).place : Place{};
  }
  const ChangesPlace* changes = changelogs_[item.index].find(Sequence(item.number), item.lane);
  return changes == nullptr ? Place{} : changes->place;
}

std::uint64_t Ledger::bytes_needed() const {
  std::uint64_t bytes = 0;
  for (const StreamState& stream : streams_) bytes += stream.bytes_kept();
  for (const Changelog& changelog : changelogs_) bytes += changelog.tail_bytes();
  return bytes;
}

std::vector<CopyItem> Ledger::needed_in(std::uint64_t segment, std::uint64_t bytes_max) const {
  std::vector<CopyItem> items;
  std::uint64_t bytes = 0;
  const auto take = [&](CopyItem item) {
    if (item.place.segment != segment || (!items.empty() && bytes + item.place.size > bytes_max)) return;
    bytes += item.place.size;
    items.push_back(item);
  };
  for (std::uint32_t index = 0; index < streams_.size() && bytes < bytes_max; ++index) {
    const StreamState& stream = streams_[index];
    for (std::uint64_t frame = stream.first_frame(); frame < stream.end_frame() && bytes < bytes_max; ++frame) {
      take({CopyItem::Kind::kFrame, index, 0, frame, stream.slot(frame).place});
    }
  }
  for (std::uint32_t index = 0; index < changelogs_.size() && bytes < bytes_max; ++index) {
    for (const ChangesPlace& changes : changelogs_[index].tail()) {
      take({CopyItem::Kind::kChanges, index, changes.lane, changes.sequence.value(), changes.place});
    }
  }
  return items;
}

Status Ledger::apply_letters(Sequence sequence, const EntryHeader& header, const Buffer& payload, Place place) {
  const auto moved = decode_letters_moved(payload.bytes.subspan(sizeof(EntryHeader)));
  if (!moved.ok()) return corrupt(sequence, moved.error().message);
  if (header.unit >= topology_.stages.size()) return corrupt(sequence, "moves dead letters of an unknown stage");
  const std::size_t lanes = units_[unit_of_[header.unit]].lanes.size();
  std::uint64_t& kept = dead_letter_bytes_[header.unit];
  kept -= std::min(kept, moved->bytes);
  for (const LettersMoved::Erased& erased : moved->erased) {
    if (erased.lane >= lanes) return corrupt(sequence, "moves dead letters of an unknown shard");
    wire::ChangesReader reader(erased.changes);
    while (const auto change = reader.next()) {
      if (change->space == wire::Space::kParked && !count_parked(*change, parked_bytes_[header.unit]))
        return corrupt(sequence, "drops a parked record with a malformed name");
    }
    if (!reader.ok()) return corrupt(sequence, "has malformed erases of dead letters");
    Place at = place;
    at.at = static_cast<std::uint32_t>(erased.changes.data() - payload.bytes.data());
    at.size = static_cast<std::uint32_t>(erased.changes.size());
    changelogs_[header.unit].append({sequence, erased.lane, at});
    if (!place.written()) unplaced_.push_back({sequence, Unplaced::Kind::kChanges, header.unit, 0, {}});
  }
  for (const LettersMoved::Again& again : moved->again) {
    if (again.lane >= lanes) return corrupt(sequence, "requeues a record of an unknown shard");
    RequeuedLetter letter;
    letter.lane = again.lane;
    letter.sequence = sequence;
    letter.key.assign(again.key.begin(), again.key.end());
    letter.letter.assign(again.letter.begin(), again.letter.end());
    requeued_[header.unit].emplace(requeued_next_++, std::move(letter));
  }
  return {};
}

Status Ledger::apply_parked(Sequence sequence, const EntryHeader& header, const Buffer& payload) {
  const auto asked = decode_parked_asked(payload.bytes.subspan(sizeof(EntryHeader)));
  if (!asked.ok()) return corrupt(sequence, asked.error().message);
  if (header.unit >= topology_.stages.size()) return corrupt(sequence, "is about parked keys of an unknown stage");
  const std::size_t lanes = units_[unit_of_[header.unit]].lanes.size();
  for (const ParkedAsked& one : *asked) {
    if (one.lane >= lanes) return corrupt(sequence, "is about parked keys of an unknown shard");
    RequeuedLetter wish;
    wish.lane = one.lane;
    wish.sequence = sequence;
    wish.what = one.drops.empty() ? wire::Requeue::kParkedKey : wire::Requeue::kDropParked;
    wish.key.assign(one.key.begin(), one.key.end());
    wish.letter.assign(one.drops.begin(), one.drops.end());
    requeued_[header.unit].emplace(requeued_next_++, std::move(wish));
  }
  return {};
}

std::string Ledger::apply_scaled(std::uint32_t stage, const Scaled& scaled) {
  if (stage >= topology_.stages.size()) return "is about workers of an unknown stage";
  if (std::string wrong = contradiction_of(stage, scaled.workers); !wrong.empty()) return wrong;
  scaled_[stage] = scaled.workers;
  return "";
}

Status Ledger::apply_replay(Sequence sequence, const EntryHeader& header, const Buffer& payload) {
  const auto replay = decode_replay(payload.bytes.subspan(sizeof(EntryHeader)));
  if (!replay.ok()) return corrupt(sequence, replay.error().message);
  if (header.unit >= topology_.stages.size()) return corrupt(sequence, "replays an unknown stage");
  UnitState& unit = units_[unit_of_[header.unit]];
  for (std::uint32_t shard = 0; shard < replay->from.size(); ++shard) {
    const auto at = unit.find(replay->stream, shard);
    if (!at || replay->from[shard].offset > unit.cursor(*at).offset)
      return corrupt(sequence, "replays what its group has not consumed");
    Cursor& cursor = unit.cursor(*at);
    if (replay->from[shard].frame > streams_[replay->stream].end_frame())
      return corrupt(sequence, "replays from a frame that does not exist");
    if (replay->from[shard].offset == cursor.offset) continue;
    cursor.offset = replay->from[shard].offset;
    cursor.frame = replay->from[shard].frame;
    cursor.ahead.clear();
  }
  if (replay->reset) {
    for (Lane& lane : unit.lanes) lane.advanced = INT64_MIN;
    for (const std::uint32_t stage : unit.stages()) changelogs_[stage].reset(sequence);
  }
  count_backlog();
  return {};
}

bool Ledger::keeps_state(const UnitState& unit) const {
  // What was parked stays so when the topology says something else since.
  return unit.keeps_state() || std::any_of(unit.stages().begin(), unit.stages().end(),
                                           [&](std::uint32_t stage) { return parked_bytes_[stage] != 0; });
}

bool Ledger::requeued_waits(const UnitState& unit, std::uint32_t lane) const {
  return std::any_of(unit.stages().begin(), unit.stages().end(), [&](std::uint32_t stage) {
    return std::any_of(requeued_[stage].begin(), requeued_[stage].end(),
                       [&](const auto& entry) { return entry.second.lane == lane; });
  });
}

void Ledger::forget_producers() {
  // An eighth at a time, so that it costs little however many come; by the journal alone, so that every start agrees.
  std::vector<Sequence> used;
  used.reserve(producers_.size());
  for (const auto& [name, producer] : producers_) used.push_back(producer.sequence);
  const auto kept = used.begin() + static_cast<std::ptrdiff_t>(kProducersMax / 8);
  std::nth_element(used.begin(), kept, used.end());
  std::erase_if(producers_, [&](const auto& entry) { return entry.second.sequence < *kept; });
}

Status Ledger::apply_publish(Sequence sequence, const Buffer& payload, Place place, bool keep) {
  const auto publish = decode_publish(payload.bytes.subspan(sizeof(EntryHeader)));
  if (!publish.ok()) return corrupt(sequence, publish.error().message);
  if (publish->stream >= streams_.size()) return corrupt(sequence, "publishes to an unknown stream");
  if (!publish->name.empty()) {
    producers_[publish->name] = {publish->number, sequence};
    if (producers_.size() > kProducersMax) forget_producers();
  }
  const auto second = shared_part(topology_, topology_.streams[publish->stream]);
  if (!publish->shared.empty() && !second) return corrupt(sequence, "splits keys of a stream that are not split");
  const auto add = [&](std::uint32_t stream, BytesView bytes) -> Status {
    if (bytes.empty()) return {};
    const auto view = wire::FrameView::parse(bytes);
    if (!view.ok()) return corrupt(sequence, view.error().message);
    external_total_ += view->header().records;
    const auto at = static_cast<std::size_t>(bytes.data() - payload.bytes.data());
    Place frame = place;
    frame.at = static_cast<std::uint32_t>(at);
    frame.size = static_cast<std::uint32_t>(bytes.size());
    return append_frame(sequence, stream, payload.part(at, bytes.size()), frame, keep);
  };
  if (Status status = add(publish->stream, publish->frame); !status.ok()) return status;
  if (second) {
    if (Status status = add(*second, publish->shared); !status.ok()) return status;
  }
  if (publish->ends) {
    streams_[publish->stream].external_ended = true;
    if (second) streams_[*second].external_ended = true;
    refresh_ends();
  }
  return {};
}

Status Ledger::append_frame(Sequence sequence, std::uint32_t stream, const Buffer& frame, Place place, bool keep) {
  const auto view = wire::FrameView::parse(frame.bytes);
  if (!view.ok() || view->header().stream != stream || stream >= streams_.size())
    return corrupt(sequence, "has a malformed frame");
  StreamState& state = streams_[stream];
  for (std::uint32_t i = 0; i < view->header().batches; ++i) {
    const wire::BatchHeader batch = view->batch(i);
    if (batch.shard >= state.shards()) return corrupt(sequence, "has a frame with an unknown shard");
    if (batch.offset != state.next_offset(batch.shard)) {
      return corrupt(sequence,
                     fmt::format("has offset {} in shard {} of \"{}\" where {} is due", batch.offset, batch.shard,
                                 topology_.streams[stream].name, state.next_offset(batch.shard)));
    }
    // A shard that a group had consumed to its end gets its next record in this frame.
    for (UnitState& unit : units_) {
      const auto at = unit.find(stream, batch.shard);
      if (!at) continue;
      Cursor& cursor = unit.cursor(*at);
      if (cursor.offset == batch.offset && cursor.ahead.empty())
        cursor.frame = std::max(cursor.frame, state.end_frame());
      if (!unit.rests(cursor.input)) unit.records_backlog += batch.count;
    }
    for (auto& [name, group] : groups_[stream]) {
      ExternalGroup::Cursor& cursor = group.cursors[batch.shard];
      if (cursor.offset == batch.offset) cursor.frame = std::max(cursor.frame, state.end_frame());
      group.records_backlog += batch.count;
    }
    if (i > 0 && view->batch(i - 1).shard >= batch.shard)
      return corrupt(sequence, "has a frame whose shards do not rise");
  }
  state.raise_watermark(view->header().watermark);
  FrameSlot slot;
  slot.sequence = sequence;
  slot.place = place;
  if (keep || !place.written()) slot.bytes = frame;
  state.append(std::move(slot), *view);
  if (!place.written()) {
    unplaced_.push_back({sequence, Unplaced::Kind::kFrame, stream, state.end_frame() - 1});
  }
  return {};
}

void Ledger::placed(Sequence sequence, std::uint64_t segment, std::uint32_t offset) {
  while (!unplaced_.empty() && unplaced_.front().sequence <= sequence) {
    const Unplaced& part = unplaced_.front();
    WEIR_CHECK(part.sequence == sequence, "entries are placed in order, each once");
    switch (part.kind) {
      case Unplaced::Kind::kFrame:
        if (StreamState& stream = streams_[part.index]; stream.holds(part.frame)) {
          const Place& place = stream.slot(part.frame).place;
          stream.place(part.frame, {segment, offset, place.at, place.size});
        }
        break;
      case Unplaced::Kind::kChanges:
        changelogs_[part.index].place(sequence, segment, offset);
        break;
      case Unplaced::Kind::kCopy:
        place(part.copy, {segment, offset, part.copy.place.at, part.copy.place.size});
        break;
    }
    unplaced_.pop_front();
  }
}

std::vector<std::uint64_t> Ledger::release(std::optional<std::int64_t> now_us, std::size_t slots_max) {
  std::vector<std::uint64_t> freed(streams_.size());
  std::size_t slots = this->slots();
  for (std::uint32_t index = 0; index < streams_.size(); ++index) {
    StreamState& state = streams_[index];
    std::uint64_t needed = state.end_frame();
    std::uint64_t needed_by_resting = state.end_frame();
    bool read = false;
    for (const UnitState& unit : units_) {
      for (std::uint32_t shard = 0; shard < state.shards(); ++shard) {
        const auto at = unit.find(index, shard);
        if (!at) break;
        const Cursor& cursor = unit.cursor(*at);
        const bool rests = unit.rests(cursor.input);
        read |= !rests;
        std::uint64_t& least = rests ? needed_by_resting : needed;
        if (cursor.offset < state.next_offset(shard)) least = std::min(least, cursor.frame);
      }
    }
    const bool rests = topology_.streams[index].resting;
    for (const auto& [name, group] : groups_[index]) {
      read |= !rests;
      std::uint64_t& least = rests ? needed_by_resting : needed;
      for (std::uint32_t shard = 0; shard < state.shards(); ++shard) {
        if (group.cursors[shard].offset < state.next_offset(shard)) least = std::min(least, group.cursors[shard].frame);
      }
    }
    // Who rests holds nothing back in a stream that goes on. One that rests itself cannot grow: what waits in it stays.
    if (!read) needed = needed_by_resting;
    state.set_waited_from(std::max(needed, state.first_frame()));
    const Stream& spec = topology_.streams[index];
    std::uint64_t keep_from = state.first_frame();
    std::uint64_t bytes = state.bytes_kept();
    for (; keep_from < needed; ++keep_from) {
      const FrameSlot& slot = state.slot(keep_from);
      const bool small = spec.retention_bytes == 0 || bytes <= spec.retention_bytes;
      const bool young = spec.retention_time.count() == 0 || !now_us || slot.origin_us == 0 ||
                         slot.origin_us + spec.retention_time.count() > *now_us;
      const bool retained = spec.retains() && small && young;
      if (retained && slots <= slots_max) break;
      if (retained) state.retained_less += slot.records;
      bytes -= slot.place.size;
      --slots;
    }
    freed[index] = state.release_before(keep_from);
  }
  return freed;
}

std::uint64_t Ledger::snapshot_bytes() const {
  std::uint64_t bytes = 0;
  for (const Changelog& changelog : changelogs_) bytes += changelog.newest() ? changelog.newest()->bytes : 0;
  return bytes;
}

std::uint64_t Ledger::segment_needed_min(std::uint64_t none, std::uint64_t snapshot_bytes_min,
                                         std::uint64_t tail_bytes_min) const {
  std::uint64_t least = none;
  for (const StreamState& stream : streams_) least = std::min(least, stream.use().oldest().value_or(none));
  for (const Changelog& changelog : changelogs_) {
    const std::uint64_t snapshot_bytes = changelog.newest() ? changelog.newest()->bytes : 0;
    if (snapshot_bytes < snapshot_bytes_min && changelog.tail_bytes() < tail_bytes_min) continue;
    least = std::min(least, changelog.use().oldest().value_or(none));
  }
  return least;
}

std::size_t Ledger::slots() const {
  std::size_t count = 0;
  for (const StreamState& state : streams_) count += state.end_frame() - state.first_frame();
  for (const Changelog& changelog : changelogs_) count += changelog.tail().size();
  return count;
}

void Ledger::refresh_watermarks(const UnitState& unit) {
  for (const std::uint32_t stream : unit.outputs()) {
    if (topology_.streams[stream].external_in && !streams_[stream].external_ended) continue;
    Timestamp least = INT64_MAX;
    for (const UnitState& producer : units_) {
      const auto& outputs = producer.outputs();
      if (!producer.resting() && std::find(outputs.begin(), outputs.end(), stream) != outputs.end())
        least = std::min(least, producer.advanced_min());
    }
    streams_[stream].raise_watermark(least);
  }
}

void Ledger::follow_inputs(std::uint32_t index) {
  UnitState& unit = units_[index];
  bool raised = false;
  for (Lane& lane : unit.lanes) {
    Timestamp least = INT64_MAX;
    for (const Cursor& cursor : lane.cursors) {
      if (unit.rests(cursor.input) || unit.comes_back(cursor.input)) continue;
      const StreamState& stream = streams_[unit.inputs()[cursor.input]];
      const bool at_head = cursor.offset == stream.next_offset(cursor.shard);
      least = std::min(least, at_head ? stream.watermark() : stream.watermark_before(cursor.frame));
    }
    if (least == INT64_MAX || least <= lane.advanced) continue;
    lane.advanced = least;
    raised = true;
  }
  if (raised) refresh_watermarks(unit);
}

void Ledger::refresh_ends() {
  for (std::size_t pass = 0; pass < units_.size() + 1; ++pass) {
    for (UnitState& unit : units_) {
      if (unit.intake() == Intake::kSplits && !unit.enumeration_ended) continue;
      unit.finished = std::all_of(unit.lanes.begin(), unit.lanes.end(), [](const Lane& lane) { return lane.finished; });
    }
    for (std::uint32_t stream = 0; stream < streams_.size(); ++stream) {
      const Stream& spec = topology_.streams[stream];
      if (spec.resting) continue;  // it stays what it was
      if (spec.loop && loop_of_[stream] != 0) {
        // Once and for all: what `finish` of its readers brings about leads out of the loop.
        streams_[stream].ended = streams_[stream].ended || worked_off(loop_of_[stream]);
        continue;
      }
      bool ended = !spec.external_in || streams_[stream].external_ended;
      for (const UnitState& unit : units_) {
        const auto& outputs = unit.outputs();
        if (!unit.resting() && std::find(outputs.begin(), outputs.end(), stream) != outputs.end())
          ended &= unit.finished;
      }
      streams_[stream].ended = ended && spec.transport != Transport::kFused;
    }
  }
  finished_ = std::all_of(units_.begin(), units_.end(),
                          [](const UnitState& unit) { return unit.finished || unit.resting(); }) &&
              consumed_outside();
}

void Ledger::count_backlog() {
  for (std::uint32_t stream = 0; stream < streams_.size(); ++stream) count_backlog(stream);
  for (UnitState& unit : units_) {
    unit.records_backlog = 0;
    for (const Lane& lane : unit.lanes) {
      for (const Cursor& cursor : lane.cursors) {
        if (unit.rests(cursor.input)) continue;
        std::uint64_t waiting = streams_[unit.inputs()[cursor.input]].next_offset(cursor.shard) - cursor.offset;
        for (const auto& [from, to] : cursor.ahead) waiting -= to - from;
        unit.records_backlog += waiting;
      }
    }
  }
}

}  // namespace weir::core
