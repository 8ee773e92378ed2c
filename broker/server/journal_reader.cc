// SPDX-License-Identifier: Apache-2.0
#include "broker/server/journal_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "broker/server/snapshot_file.h"

namespace weir::server {
namespace {

constexpr std::size_t kTailBytesMax = 16 << 20;     ///< so much of a tail is merged at a time
constexpr std::size_t kRestoredBytes = 1 << 20;     ///< so much state is read at a time
constexpr std::size_t kGatheredBytesMax = 8 << 20;  ///< so much of the tails of lanes that come next is held

/// What `changes` have in Space::kState is from before a reset.
bool counts_no_more(const core::RestoreJob::Part& part, const core::ChangesPlace& changes) {
  return changes.sequence.value() < part.reset_before;
}

/// Where a letter stands among those of its stage: dead letters by the places that they came from, behind them the
/// parked records of each lane by their turns.
std::string place_of(std::uint32_t lane, const wire::Change& change) {
  std::string place(1, static_cast<char>(change.space));
  if (change.space == wire::Space::kParked) {
    const std::uint32_t rising = __builtin_bswap32(lane);
    place += as_text(std::as_bytes(std::span(&rising, 1)));
    place += as_text(change.name);
  }
  place += as_text(change.key);
  return place;
}

}  // namespace

Result<BytesView> JournalReader::entry(const core::Place& place) {
  const journal::Position position{place.segment, place.offset};
  if (last_position_ != position || last_payload_.empty()) {
    auto payload = journal_.read(position);
    if (!payload.ok()) return payload.error();
    last_payload_ = std::move(*payload);
    last_position_ = position;
  }
  if (std::uint64_t{place.at} + place.size > last_payload_.size()) {
    return {Code::kCorrupt, fmt::format("the entry at segment {}, byte {} is shorter than what was written there",
                                        place.segment, place.offset)};
  }
  return BytesView(last_payload_).subspan(place.at, place.size);
}

Result<Bytes> JournalReader::read(const core::Place& place) {
  const auto bytes = entry(place);
  if (!bytes.ok()) return bytes.error();
  return Bytes(bytes->begin(), bytes->end());
}

Status JournalReader::copy(core::CopyJob& job) {
  for (const core::CopyItem& item : job.items) {
    auto bytes = read(item.place);
    if (!bytes.ok() && bytes.error().code != Code::kNotFound) return bytes.error();
    job.bytes.push_back(bytes.ok() ? std::move(*bytes) : Bytes());
  }
  return {};
}

Result<bool> JournalReader::gather(core::RestoreJob& job) {
  core::RestoreJob::Reached& at = job.reached;
  if (at.lane < at.gathered) return true;
  // As many lanes as fit into memory; one that does not fit alone is read where it lies.
  std::map<std::uint32_t, std::uint64_t> sizes;
  for (const core::RestoreJob::Part& part : job.parts) {
    for (const core::ChangesPlace& changes : part.tail) sizes[changes.lane] += changes.place.size;
  }
  std::size_t end = at.lane;
  std::set<std::uint32_t> lanes;
  for (std::uint64_t bytes = 0; end < job.lanes.size(); ++end) {
    bytes += sizes[job.lanes[end]];
    if (bytes > kGatheredBytesMax) break;
    lanes.insert(job.lanes[end]);
  }
  if (at.gather_part == 0 && at.gather_tail == 0) at.tails.clear();
  std::size_t bytes = 0;
  for (; !lanes.empty() && at.gather_part < job.parts.size(); ++at.gather_part, at.gather_tail = 0) {
    const core::RestoreJob::Part& part = job.parts[at.gather_part];
    for (; at.gather_tail < part.tail.size(); ++at.gather_tail) {
      const core::ChangesPlace& changes = part.tail[at.gather_tail];
      if (lanes.count(changes.lane) == 0) continue;
      if (bytes >= kRestoredBytes) return false;
      auto found = read(changes.place);
      if (!found.ok()) return found.error();
      bytes += found->size();
      at.tails[{at.gather_part, changes.lane}].emplace_back(std::move(*found), counts_no_more(part, changes));
    }
  }
  at.gather_part = at.gather_tail = 0;
  at.gathered = std::max(end, at.lane);
  return true;
}

Status JournalReader::restore(core::RestoreJob& job, const std::function<Status(const wire::StatePart&)>& visit) {
  Bytes shown;
  std::size_t bytes = 0;
  /// Hands on what a worker may see of `changes`.
  const auto show = [&](std::uint32_t stage, std::uint32_t lane, BytesView changes, bool reset) -> Status {
    const auto hidden = [reset](const wire::Change& change) {
      return change.space == wire::Space::kDeadLetter || change.space == wire::Space::kRequeued ||
             (reset && change.space == wire::Space::kState);
    };
    bool all = true;
    wire::ChangesReader looked(changes);
    while (const auto change = looked.next()) all = all && !hidden(*change);
    if (!looked.ok()) return {Code::kCorrupt, "malformed state in the journal"};
    bytes += changes.size();
    const bool on_top = job.on_top.contains(lane);
    if (all) return changes.empty() ? Status() : visit({stage, lane, false, changes, on_top, 0, job.ahead});
    shown.clear();
    wire::ChangesReader reader(changes);
    while (const auto change = reader.next()) {
      if (!hidden(*change)) wire::append_change(shown, *change);
    }
    return shown.empty() ? Status() : visit({stage, lane, false, shown, on_top, 0, job.ahead});
  };
  core::RestoreJob::Reached& at = job.reached;
  std::vector<std::optional<SnapshotReader>> snapshots(job.parts.size());
  Bytes block;
  for (; at.lane < job.lanes.size(); ++at.lane, at.part = 0) {
    const std::uint32_t lane = job.lanes[at.lane];
    const Result<bool> gathered = gather(job);
    if (!gathered.ok()) return gathered.error();
    if (!*gathered) return {};
    for (; at.part < job.parts.size(); ++at.part, at.block = 0, at.tail = 0) {
      const core::RestoreJob::Part& part = job.parts[at.part];
      std::optional<SnapshotReader>& snapshot = snapshots[at.part];
      if (part.file != 0 && !snapshot) {
        auto opened = SnapshotReader::open(disk_, part.file);
        if (!opened.ok()) return opened.error();
        snapshot = std::move(*opened);
      }
      while (snapshot && at.tail == 0 && !job.on_top.contains(lane)) {
        if (bytes >= kRestoredBytes) return {};
        SnapshotReader::Place place{at.block, at.position};
        const Result<bool> more = snapshot->next(lane, place, block);
        if (!more.ok()) return more.error();
        if (!*more) break;
        if (Status shows = show(part.stage, lane, block, part.file_reset); !shows.ok()) return shows;
        at.block = place.block;
        at.position = place.position;
      }
      const bool at_hand = at.lane < at.gathered;
      const auto tail = at.tails.find({at.part, lane});
      const std::size_t count = !at_hand ? part.tail.size() : tail != at.tails.end() ? tail->second.size() : 0;
      for (; at.tail < count; ++at.tail) {
        if (!at_hand && part.tail[at.tail].lane != lane) continue;
        if (bytes >= kRestoredBytes) return {};
        const Result<BytesView> changes =
            at_hand ? BytesView(tail->second[at.tail].first) : entry(part.tail[at.tail].place);
        if (!changes.ok()) return changes.error();
        const bool reset = at_hand ? tail->second[at.tail].second : counts_no_more(part, part.tail[at.tail]);
        if (Status shows = show(part.stage, lane, *changes, reset); !shows.ok()) return shows;
      }
    }
    const std::uint32_t stage = job.parts.empty() ? 0 : job.parts.front().stage;
    const wire::StatePart last{stage, lane, true, {}, job.on_top.contains(lane), job.through, job.ahead};
    if (Status visited = visit(last); !visited.ok()) return visited;
  }
  job.finished = true;
  return {};
}

Status JournalReader::compact(core::CompactJob& job) {
  std::optional<SnapshotReader> before;
  if (job.file_before != 0) {
    auto opened = SnapshotReader::open(disk_, job.file_before);
    if (!opened.ok()) return opened.error();
    before = std::move(*opened);
  }
  // Lanes in rising order, so many at a time that their changes fit into memory.
  std::map<std::uint32_t, std::uint64_t> lanes;
  if (before) {
    for (const std::uint32_t lane : before->lanes()) lanes[lane];
  }
  for (const core::ChangesPlace& changes : job.tail) lanes[changes.lane] += changes.place.size;
  auto writer = SnapshotWriter::create(disk_, job.result.file, job.stage);
  if (!writer.ok()) return writer.error();
  for (auto first = lanes.begin(); first != lanes.end();) {
    auto end = first;
    std::uint64_t bytes = 0;
    do {
      bytes += end->second;
      ++end;
    } while (end != lanes.end() && bytes + end->second <= kTailBytesMax);
    std::map<std::uint32_t, LaneTail> tail;
    for (const core::ChangesPlace& changes : job.tail) {
      if (changes.lane < first->first || (end != lanes.end() && changes.lane >= end->first)) continue;
      const auto read = entry(changes.place);
      if (!read.ok()) return read.error();
      tail[changes.lane].add(*read, changes.sequence.value() < job.reset_before);
    }
    for (; first != end; ++first) {
      const auto changed = tail.find(first->first);
      const SnapshotBefore old{before ? &*before : nullptr, job.file_reset};
      Status merged = merge_lane(old, first->first, changed == tail.end() ? nullptr : &changed->second, *writer);
      if (!merged.ok()) return merged;
    }
  }
  const auto size = writer->finish();
  if (!size.ok()) return size.error();
  job.result.bytes = *size;
  return {};
}

Status JournalReader::dead_letters(const std::vector<core::RestoreJob::Part>& parts,
                                   const std::function<void(const Letter&)>& visit) {
  for (const core::RestoreJob::Part& part : parts) {
    struct Kept {
      std::uint32_t lane = 0;
      Bytes parked;
      Bytes key;
      Bytes bytes;
    };
    std::map<std::string, Kept> letters;
    const auto collect = [&](std::uint32_t lane, BytesView changes) -> Status {
      wire::ChangesReader reader(changes);
      while (const auto change = reader.next()) {
        if (change->space != wire::Space::kDeadLetter && change->space != wire::Space::kParked) continue;
        std::string place = place_of(lane, *change);
        if (change->value) {
          letters[std::move(place)] = {lane, Bytes(change->name.begin(), change->name.end()),
                                       Bytes(change->key.begin(), change->key.end()),
                                       Bytes(change->value->begin(), change->value->end())};
        } else {
          letters.erase(place);
        }
      }
      return reader.ok() ? Status() : Status(Code::kCorrupt, "malformed state in the journal");
    };
    if (part.file != 0) {
      const auto snapshot = SnapshotReader::open(disk_, part.file);
      if (!snapshot.ok()) return snapshot.error();
      for (const std::uint32_t lane : snapshot->lanes()) {
        const auto of_lane = [&](BytesView changes) { return collect(lane, changes); };
        if (Status status = snapshot->read(lane, of_lane); !status.ok()) return status;
      }
    }
    for (const core::ChangesPlace& changes : part.tail) {
      const auto bytes = entry(changes.place);
      if (!bytes.ok()) return bytes.error();
      if (Status status = collect(changes.lane, *bytes); !status.ok()) return status;
    }
    for (const auto& [key, kept] : letters) {
      const auto letter = wire::decode_dead_letter(kept.bytes);
      if (!letter) return {Code::kCorrupt, "a malformed dead letter in the journal"};
      visit({part.stage, kept.lane, kept.parked, kept.key, kept.bytes, *letter});
    }
  }
  return {};
}

}  // namespace weir::server
