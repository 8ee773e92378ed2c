// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "broker/core/ledger.h"
#include "sdk/topology/resolved_file.h"

namespace weir::core {
namespace {

/// 1 had no requeued letters, 2 no parked keys, 3 no topology, no times of frames and no resets of state, 4 no groups
/// outside, 5 no streams from worker to worker, 6 no numbers of workers, 7 no libraries of stages, 8 no boundaries that
/// are learned; they are read too.
constexpr std::uint32_t kCheckpointVersion = 9;

using Fixups = std::vector<Ledger::Fixup>;

void put_place(ByteWriter& writer, Sequence sequence, const Place& place, Fixups& fixups) {
  if (!place.written()) fixups.push_back({sequence, writer.size()});
  writer.put(place.segment);
  writer.put(place.offset);
  writer.put(place.at);
  writer.put(place.size);
}

Place get_place(ByteReader& reader) {
  Place place;
  place.segment = reader.get<std::uint64_t>();
  place.offset = reader.get<std::uint32_t>();
  place.at = reader.get<std::uint32_t>();
  place.size = reader.get<std::uint32_t>();
  return place;
}

constexpr std::size_t kPlaceBytes = 20;

}  // namespace

/// Layout of a checkpoint: the parts of the ledger one behind the other, each list with its count first.
class LedgerCodec {
 public:
  static void put(ByteWriter& writer, const StreamState& stream, Fixups& fixups) {
    writer.put(stream.first_frame_);
    writer.put(stream.records_total_);
    writer.put(stream.bytes_total_);
    writer.put(stream.watermark_);
    writer.put(static_cast<std::uint8_t>(stream.external_ended));
    writer.put(static_cast<std::uint8_t>(stream.ended));
    writer.put(static_cast<std::uint32_t>(stream.next_offsets_.size()));
    for (const std::uint64_t next : stream.next_offsets_) writer.put(next);
    for (const std::uint64_t from : stream.kept_from_) writer.put(from);
    writer.put(static_cast<std::uint32_t>(stream.frames_.size()));
    for (const FrameSlot& slot : stream.frames_) {
      writer.put(slot.sequence.value());
      writer.put(slot.records);
      put_place(writer, slot.sequence, slot.place, fixups);
    }
  }

  static bool get(ByteReader& reader, StreamState& stream, std::uint32_t version) {
    stream.first_frame_ = reader.get<std::uint64_t>();
    stream.records_total_ = reader.get<std::uint64_t>();
    stream.bytes_total_ = reader.get<std::uint64_t>();
    stream.watermark_ = reader.get<Timestamp>();
    stream.external_ended = reader.get<std::uint8_t>() != 0;
    if (version >= 4) stream.ended = reader.get<std::uint8_t>() != 0;
    if (reader.count(8) != stream.next_offsets_.size()) return false;
    for (std::uint64_t& next : stream.next_offsets_) next = reader.get<std::uint64_t>();
    stream.waited_from_ = stream.first_frame_;
    if (version >= 4) {
      for (std::uint64_t& from : stream.kept_from_) from = reader.get<std::uint64_t>();
    }
    const std::uint32_t frames = reader.count(16 + kPlaceBytes);
    for (std::uint32_t i = 0; i < frames; ++i) {
      FrameSlot slot;
      slot.sequence = Sequence(reader.get<std::uint64_t>());
      slot.records = reader.get<std::uint64_t>();
      slot.place = get_place(reader);
      stream.bytes_kept_ += slot.place.size;
      stream.bytes_waiting_ += slot.place.size;
      stream.use_.add(slot.place.segment);
      stream.frames_.push_back(std::move(slot));
    }
    return reader.ok();
  }

  static void put_origins(ByteWriter& writer, const StreamState& stream) {
    for (const FrameSlot& slot : stream.frames_) writer.put(slot.origin_us);
  }
  static void get_origins(ByteReader& reader, StreamState& stream) {
    for (FrameSlot& slot : stream.frames_) slot.origin_us = reader.get<std::int64_t>();
  }

  static void put(ByteWriter& writer, const ExternalGroups& groups) {
    writer.put(static_cast<std::uint32_t>(groups.size()));
    for (const auto& [name, group] : groups) {
      writer.text(name);
      for (const ExternalGroup::Cursor& cursor : group.cursors) {
        writer.put(cursor.offset);
        writer.put(cursor.frame);
      }
    }
  }

  static void get(ByteReader& reader, const StreamState& stream, ExternalGroups& groups) {
    groups.clear();
    const std::uint32_t count = reader.count(4);
    for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
      ExternalGroup& group = groups[reader.text()];
      group.cursors.resize(stream.shards());
      for (std::uint32_t shard = 0; shard < stream.shards() && reader.ok(); ++shard) {
        group.cursors[shard].offset = reader.get<std::uint64_t>();
        group.cursors[shard].frame = reader.get<std::uint64_t>();
      }
    }
  }

  static void put_boundaries(ByteWriter& writer, const std::vector<Boundary>& boundaries) {
    writer.put(static_cast<std::uint32_t>(boundaries.size()));
    for (const Boundary& boundary : boundaries) core::put(writer, boundary);
  }
  static bool get_boundaries(ByteReader& reader, std::vector<Boundary>& boundaries) {
    const std::uint32_t count = reader.count(5);
    for (std::uint32_t i = 0; i < count; ++i) {
      auto boundary = get_boundary(reader);
      if (!boundary) return false;
      boundaries.push_back(std::move(*boundary));
    }
    return reader.ok();
  }

  static void put_relocation(ByteWriter& writer, const UnitState& unit) {
    writer.put(static_cast<std::uint8_t>(unit.relocation.has_value()));
    if (!unit.relocation) return;
    const Relocation& relocation = *unit.relocation;
    writer.put(relocation.stream);
    writer.put(relocation.watermark);
    writer.put(static_cast<std::uint8_t>(relocation.copied));
    writer.put(static_cast<std::uint32_t>(relocation.barriers.size()));
    for (const Relocation::Barrier& barrier : relocation.barriers) {
      writer.put(barrier.shard);
      writer.put(barrier.offset);
      writer.put(static_cast<std::uint8_t>(barrier.gives));
    }
    put_boundaries(writer, relocation.before);
  }
  static bool get_relocation(ByteReader& reader, UnitState& unit) {
    if (reader.get<std::uint8_t>() == 0) return reader.ok();
    Relocation& relocation = unit.relocation.emplace();
    relocation.stream = reader.get<std::uint32_t>();
    relocation.watermark = reader.get<Timestamp>();
    relocation.copied = reader.get<std::uint8_t>() != 0;
    const std::uint32_t count = reader.count(13);
    for (std::uint32_t i = 0; i < count; ++i) {
      Relocation::Barrier barrier;
      barrier.shard = reader.get<std::uint32_t>();
      barrier.offset = reader.get<std::uint64_t>();
      barrier.gives = reader.get<std::uint8_t>() != 0;
      relocation.barriers.push_back(barrier);
    }
    return get_boundaries(reader, relocation.before);
  }

  static void put(ByteWriter& writer, const UnitState& unit) {
    writer.put(static_cast<std::uint8_t>(unit.begun));
    writer.put(static_cast<std::uint8_t>(unit.enumeration_ended));
    writer.put(static_cast<std::uint32_t>(unit.lanes.size()));
    for (const Lane& lane : unit.lanes) {
      writer.put(lane.advanced);
      writer.put(static_cast<std::uint8_t>(lane.finished));
      writer.put(static_cast<std::uint8_t>(lane.split_ended));
      writer.blob(lane.position);
      writer.text(lane.split);
      for (const Cursor& cursor : lane.cursors) {
        writer.put(cursor.offset);
        writer.put(cursor.frame);
        writer.put(static_cast<std::uint32_t>(cursor.ahead.size()));
        for (const auto& [from, to] : cursor.ahead) {
          writer.put(from);
          writer.put(to);
        }
      }
    }
  }

  static bool get(ByteReader& reader, UnitState& unit, std::uint32_t version) {
    unit.begun = version < 4 || reader.get<std::uint8_t>() != 0;
    unit.enumeration_ended = reader.get<std::uint8_t>() != 0;
    const std::uint32_t lanes = reader.count(18);
    if (unit.intake() == Intake::kSplits) {
      unit.lanes.resize(lanes);
    } else if (unit.lanes.size() != lanes) {
      return false;
    }
    for (Lane& lane : unit.lanes) {
      lane.advanced = reader.get<Timestamp>();
      lane.finished = reader.get<std::uint8_t>() != 0;
      lane.split_ended = reader.get<std::uint8_t>() != 0;
      const BytesView position = reader.blob();
      lane.position.assign(position.begin(), position.end());
      lane.split = reader.text();
      for (Cursor& cursor : lane.cursors) {
        cursor.offset = reader.get<std::uint64_t>();
        cursor.frame = reader.get<std::uint64_t>();
        const std::uint32_t ahead = reader.count(16);
        for (std::uint32_t i = 0; i < ahead; ++i) {
          const auto from = reader.get<std::uint64_t>();
          cursor.ahead[from] = reader.get<std::uint64_t>();
        }
      }
    }
    return reader.ok();
  }

  static void put(ByteWriter& writer, const Changelog& changelog, Fixups& fixups) {
    const SnapshotTaken newest = changelog.newest().value_or(SnapshotTaken{});
    writer.put(newest.file);
    writer.put(newest.through);
    writer.put(newest.bytes);
    writer.put(static_cast<std::uint32_t>(changelog.tail().size()));
    for (const ChangesPlace& changes : changelog.tail()) {
      writer.put(changes.sequence.value());
      writer.put(changes.lane);
      put_place(writer, changes.sequence, changes.place, fixups);
    }
  }

  static bool get(ByteReader& reader, Changelog& changelog) {
    SnapshotTaken newest;
    newest.file = reader.get<std::uint64_t>();
    newest.through = reader.get<std::uint64_t>();
    newest.bytes = reader.get<std::uint64_t>();
    if (newest.file != 0) changelog.snapshot(newest);
    const std::uint32_t tail = reader.count(12 + kPlaceBytes);
    for (std::uint32_t i = 0; i < tail; ++i) {
      ChangesPlace changes;
      changes.sequence = Sequence(reader.get<std::uint64_t>());
      changes.lane = reader.get<std::uint32_t>();
      changes.place = get_place(reader);
      changelog.append(changes);
    }
    return reader.ok();
  }
};

void Ledger::fix(Bytes& checkpoint, std::size_t at, std::uint64_t segment, std::uint32_t offset) {
  std::memcpy(checkpoint.data() + at, &segment, sizeof(segment));
  std::memcpy(checkpoint.data() + at + sizeof(segment), &offset, sizeof(offset));
}

Bytes Ledger::encode_checkpoint(std::vector<Fixup>& fixups) const {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(kCheckpointVersion);
  writer.text(topology_.name);
  writer.text(encode_resolved_briefly(topology_));
  writer.put(next_.value());
  writer.put(next_file_);
  writer.put(external_total_);
  writer.put(static_cast<std::uint8_t>(opened_));
  writer.put(static_cast<std::uint32_t>(streams_.size()));
  for (const StreamState& stream : streams_) LedgerCodec::put(writer, stream, fixups);
  writer.put(static_cast<std::uint32_t>(units_.size()));
  for (const UnitState& unit : units_) LedgerCodec::put(writer, unit);
  writer.put(static_cast<std::uint32_t>(changelogs_.size()));
  for (std::size_t stage = 0; stage < changelogs_.size(); ++stage) {
    LedgerCodec::put(writer, changelogs_[stage], fixups);
    writer.put(totals_[stage].records_in);
    writer.put(totals_[stage].records_out);
    writer.put(totals_[stage].dead_letters);
    writer.put(totals_[stage].late);
    writer.put(dead_letter_bytes_[stage]);
  }
  writer.put(static_cast<std::uint32_t>(producers_.size()));
  for (const auto& [name, producer] : producers_) {
    writer.text(name);
    writer.put(producer.last);
    writer.put(producer.sequence.value());
  }
  writer.put(requeued_next_);
  for (const RequeuedLetters& letters : requeued_) {
    writer.put(static_cast<std::uint32_t>(letters.size()));
    for (const auto& [number, letter] : letters) {
      writer.put(number);
      writer.put(letter.lane);
      writer.put(letter.sequence.value());
      writer.put(letter.what);
      writer.blob(letter.key);
      writer.blob(letter.letter);
    }
  }
  for (const std::uint64_t parked : parked_bytes_) writer.put(parked);
  for (const Changelog& changelog : changelogs_) writer.put(changelog.reset_before());
  for (const StreamState& stream : streams_) LedgerCodec::put_origins(writer, stream);
  for (const ExternalGroups& groups : groups_) LedgerCodec::put(writer, groups);
  for (const StreamState& stream : streams_) writer.put(stream.lost);
  for (const std::uint32_t workers : scaled_) writer.put(workers);
  for (const auto& library : libraries_) {
    writer.put(static_cast<std::uint8_t>(library.has_value()));
    if (library) put(writer, *library);
  }
  for (const StreamState& stream : streams_) {
    writer.put(stream.boundary_moves);
    LedgerCodec::put_boundaries(writer, stream.boundaries);
  }
  for (const UnitState& unit : units_) LedgerCodec::put_relocation(writer, unit);
  std::sort(fixups.begin(), fixups.end(), [](const Fixup& a, const Fixup& b) { return a.sequence < b.sequence; });
  return bytes;
}

Status Ledger::decode_checkpoint(BytesView bytes) {
  const auto broken = [](std::string_view what) {
    return Status(Code::kCorrupt, fmt::format("the checkpoint does not fit the topology: {}", what));
  };
  ByteReader reader(bytes);
  const auto version = reader.get<std::uint32_t>();
  if (version == 0 || version > kCheckpointVersion) {
    return {Code::kRefused, fmt::format("the checkpoint has version {}, this Weir reads versions 1 to {}: use the Weir "
                                        "that wrote it, or a newer one",
                                        version, kCheckpointVersion)};
  }
  if (reader.text() != topology_.name) return broken("another name");
  if (version >= 4) {
    auto topology = decode_resolved(reader.text());
    if (!topology.ok()) return broken(topology.error().message);
    if (topology->name != topology_.name) return broken("its topology has another name");
    *this = Ledger(std::move(*topology));
    says_topology_ = true;
  }
  next_ = Sequence(reader.get<std::uint64_t>());
  next_file_ = reader.get<std::uint64_t>();
  external_total_ = reader.get<std::uint64_t>();
  opened_ = reader.get<std::uint8_t>() != 0;
  if (reader.get<std::uint32_t>() != streams_.size()) return broken("another number of streams");
  for (StreamState& stream : streams_) {
    if (!LedgerCodec::get(reader, stream, version)) return broken("another number of shards");
  }
  if (reader.get<std::uint32_t>() != units_.size()) return broken("another number of stages");
  for (UnitState& unit : units_) {
    if (!LedgerCodec::get(reader, unit, version)) return broken("another number of shards in a group");
  }
  if (reader.get<std::uint32_t>() != changelogs_.size()) return broken("another number of stages");
  for (std::size_t stage = 0; stage < changelogs_.size(); ++stage) {
    if (!LedgerCodec::get(reader, changelogs_[stage])) return broken("a changelog that is cut short");
    totals_[stage].records_in = reader.get<std::uint64_t>();
    totals_[stage].records_out = reader.get<std::uint64_t>();
    totals_[stage].dead_letters = reader.get<std::uint64_t>();
    totals_[stage].late = reader.get<std::uint64_t>();
    dead_letter_bytes_[stage] = reader.get<std::uint64_t>();
  }
  const std::uint32_t producers = reader.count(20);
  for (std::uint32_t i = 0; i < producers; ++i) {
    const std::string name = reader.text();
    ProducerState& producer = producers_[name];
    producer.last = reader.get<std::uint64_t>();
    producer.sequence = Sequence(reader.get<std::uint64_t>());
  }
  if (version >= 2) {
    requeued_next_ = reader.get<std::uint64_t>();
    for (RequeuedLetters& letters : requeued_) {
      const std::uint32_t count = reader.count(28);
      for (std::uint32_t i = 0; i < count; ++i) {
        RequeuedLetter& letter = letters[reader.get<std::uint64_t>()];
        letter.lane = reader.get<std::uint32_t>();
        letter.sequence = Sequence(reader.get<std::uint64_t>());
        if (version >= 3) letter.what = reader.get<wire::Requeue>();
        if (letter.what > wire::Requeue::kDropParked) return broken("a requeued record of an unknown kind");
        const BytesView key = reader.blob();
        letter.key.assign(key.begin(), key.end());
        const BytesView record = reader.blob();
        letter.letter.assign(record.begin(), record.end());
      }
    }
  }
  if (version >= 3) {
    for (std::uint64_t& parked : parked_bytes_) parked = reader.get<std::uint64_t>();
  }
  if (version >= 4) {
    for (Changelog& changelog : changelogs_) changelog.reset(Sequence(reader.get<std::uint64_t>()));
    for (StreamState& stream : streams_) LedgerCodec::get_origins(reader, stream);
  }
  if (version >= 5) {
    for (std::size_t i = 0; i < streams_.size(); ++i) LedgerCodec::get(reader, streams_[i], groups_[i]);
  }
  if (version >= 6) {
    for (StreamState& stream : streams_) stream.lost = reader.get<std::uint64_t>();
  }
  if (version >= 7) {
    for (std::uint32_t& workers : scaled_) workers = reader.get<std::uint32_t>();
  }
  if (version >= 8) {
    for (auto& library : libraries_) {
      if (reader.get<std::uint8_t>() != 0) library = get_stage_library(reader);
    }
  }
  if (version >= 9) {
    for (StreamState& stream : streams_) {
      stream.boundary_moves = reader.get<std::uint64_t>();
      if (!LedgerCodec::get_boundaries(reader, stream.boundaries)) return broken("a boundary that is none");
    }
    for (UnitState& unit : units_) {
      if (!LedgerCodec::get_relocation(reader, unit)) return broken("a boundary that is none");
    }
  }
  if (!reader.ok() || !reader.at_end()) return broken("its length");
  if (const std::string what = contradiction(); !what.empty())
    return {Code::kCorrupt, "the checkpoint contradicts itself: " + what};
  count_backlog();
  refresh_ends();
  return {};
}

}  // namespace weir::core
