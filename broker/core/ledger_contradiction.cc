// SPDX-License-Identifier: Apache-2.0
// A checkpoint's CRC says that it is as it was written, not that what wrote it made sense. A ledger out of bounds would
// lead whoever uses it astray, so what is read is looked at once.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "broker/core/ledger.h"

namespace weir::core {

std::string Ledger::contradiction() const {
  if (std::max({next_.value(), next_file_, requeued_next_}) > kNumberMax) return "a number is too large";
  for (std::uint32_t index = 0; index < streams_.size(); ++index) {
    if (const std::string what = contradiction_of(streams_[index]); !what.empty())
      return fmt::format("stream \"{}\": {}", topology_.streams[index].name, what);
    if (std::string what = contradiction_of(topology_.streams[index], streams_[index].boundaries); !what.empty())
      return fmt::format("stream \"{}\" {}", topology_.streams[index].name, what);
    if (streams_[index].boundary_moves > kNumberMax) return "boundaries have moved too often";
    if (!groups_[index].empty() && !topology_.streams[index].external_out)
      return fmt::format("stream \"{}\": groups outside read it that may not", topology_.streams[index].name);
    if (const std::string what = contradiction_of(streams_[index], groups_[index]); !what.empty())
      return fmt::format("groups outside of stream \"{}\": {}", topology_.streams[index].name, what);
  }
  for (const UnitState& unit : units_) {
    if (const std::string what = contradiction_of(unit); !what.empty())
      return fmt::format("group of \"{}\": {}", topology_.stages[unit.stage()].name, what);
  }
  for (std::uint32_t stage = 0; stage < changelogs_.size(); ++stage) {
    if (const std::string what = contradiction_of(stage); !what.empty())
      return fmt::format("stage \"{}\": {}", topology_.stages[stage].name, what);
  }
  for (const auto& [name, producer] : producers_) {
    if (producer.sequence >= next_) return "a producer was heard behind its end";
  }
  return "";
}

std::string Ledger::contradiction_of(const StreamState& stream) const {
  if (stream.first_frame() > kNumberMax) return "a frame's number is too large";
  Sequence before;
  for (std::uint64_t frame = stream.first_frame(); frame < stream.end_frame(); ++frame) {
    const Sequence sequence = stream.slot(frame).sequence;
    if (!stream.slot(frame).place.written()) return "a frame lies nowhere";
    if (sequence >= next_ || sequence < before) return "frames are not in the order of the journal";
    before = sequence;
  }
  if (stream.lost > kNumberMax) return "it has lost too many records";
  for (std::uint32_t shard = 0; shard < stream.shards(); ++shard) {
    if (stream.next_offset(shard) > kNumberMax) return "an offset is too large";
    if (stream.kept_from(shard) > stream.next_offset(shard)) return "it keeps records that it does not have";
  }
  return "";
}

std::string Ledger::contradiction_of(const StreamState& stream, const ExternalGroups& groups) const {
  for (const auto& [name, group] : groups) {
    for (std::uint32_t shard = 0; shard < stream.shards(); ++shard) {
      const ExternalGroup::Cursor& cursor = group.cursors[shard];
      const std::uint64_t end = stream.next_offset(shard);
      if (cursor.offset > end || cursor.frame > stream.end_frame()) return "one has consumed what does not exist";
      if (cursor.offset < end && stream.first_frame() == stream.end_frame())
        return "one waits for records that are not kept";
    }
  }
  return "";
}

std::string Ledger::contradiction_of(const UnitState& unit) const {
  if (unit.relocation) {
    const Relocation& relocation = *unit.relocation;
    const bool known = relocation.stream < streams_.size() && topology_.streams[relocation.stream].learns_boundaries &&
                       unit.intake() == Intake::kShards && unit.find(relocation.stream, 0);
    if (!known || relocation.barriers.empty()) return "it follows boundaries of what it does not read";
    const StreamState& stream = streams_[relocation.stream];
    if (stream.boundaries.empty()) return "it follows boundaries that nobody has learned";
    if (!contradiction_of(topology_.streams[relocation.stream], relocation.before).empty())
      return "it follows boundaries from where there were none";
    const Relocation::Barrier* before = nullptr;
    for (const Relocation::Barrier& barrier : relocation.barriers) {
      const bool rises = before == nullptr || before->shard < barrier.shard;
      before = &barrier;
      if (!rises || barrier.shard >= stream.shards() || barrier.offset > stream.next_offset(barrier.shard))
        return "it follows boundaries to where nothing is";
      if (unit.cursor(*unit.find(relocation.stream, barrier.shard)).offset > barrier.offset)
        return "it has not waited where boundaries moved";
    }
  }
  std::set<std::string_view> splits;
  for (const Lane& lane : unit.lanes) {
    if (unit.intake() == Intake::kSplits && !splits.insert(lane.split).second) return "a split is there twice";
    for (const Cursor& cursor : lane.cursors) {
      const StreamState& stream = streams_[unit.inputs()[cursor.input]];
      const std::uint64_t end = stream.next_offset(cursor.shard);
      if (cursor.offset > end || cursor.frame > stream.end_frame()) return "it has consumed what does not exist";
      const bool kept = !is_direct(topology_.streams[unit.inputs()[cursor.input]].transport);
      if (kept && cursor.offset < end && !unit.rests(cursor.input) && stream.first_frame() == stream.end_frame())
        return "it waits for records that are not kept";
      std::uint64_t done = cursor.offset;
      for (const auto& [from, to] : cursor.ahead) {
        if (from < done || (from == done && done == cursor.offset) || to <= from || to > end)
          return "ranges that it consumed ahead overlap or lead too far";
        done = to;
      }
    }
  }
  return "";
}

std::string Ledger::contradiction_of(std::uint32_t stage, std::uint32_t workers) const {
  if (topology_.stages[stage].host != stage) return "gives workers to a stage that has none of its own";
  return workers < 1 || workers > kWorkersMax ? fmt::format("gives a stage {} workers", workers) : "";
}

std::string Ledger::contradiction_of(std::uint32_t stage) const {
  if (scaled_[stage] != 0) {
    if (std::string wrong = contradiction_of(stage, scaled_[stage]); !wrong.empty()) return wrong;
  }
  if (libraries_[stage]) {
    if (std::string wrong = core::contradiction_of(*libraries_[stage]); !wrong.empty()) return wrong;
  }
  const std::size_t lanes = units_[unit_of_[stage]].lanes.size();
  const Changelog& changelog = changelogs_[stage];
  if (const auto& newest = changelog.newest();
      newest && (newest->through > next_.value() || newest->file >= next_file_))
    return "its snapshot is of what comes later";
  if (changelog.reset_before() > next_.value()) return "its state was reset later";
  Sequence before(changelog.newest() ? changelog.newest()->through : 0);
  for (const ChangesPlace& changes : changelog.tail()) {
    if (changes.sequence >= next_ || changes.sequence < before) return "changes are not in the order of the journal";
    if (!changes.place.written()) return "changes lie nowhere";
    if (changes.lane >= std::max<std::size_t>(1, lanes)) return "changes are of a shard that does not exist";
    before = changes.sequence;
  }
  for (const auto& [number, letter] : requeued_[stage]) {
    if (number >= requeued_next_ || letter.sequence >= next_ || letter.lane >= lanes)
      return "a requeued record has a number or shard that does not exist";
  }
  return "";
}

}  // namespace weir::core
