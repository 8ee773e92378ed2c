// SPDX-License-Identifier: Apache-2.0
#include "broker/core/entry.h"

#include <bit>
#include <cmath>
#include <utility>

namespace weir::core {

Bytes encode_header(const EntryHeader& header) {
  Bytes bytes(sizeof(header));
  std::memcpy(bytes.data(), &header, sizeof(header));
  return bytes;
}

Result<EntryHeader> decode_header(BytesView payload) {
  EntryHeader header;
  if (payload.size() < sizeof(header)) return {Code::kCorrupt, "is shorter than its header"};
  std::memcpy(&header, payload.data(), sizeof(header));
  if (header.type < EntryType::kTopology || header.type > EntryType::kRelocated) {
    return {Code::kRefused, "is of an unknown type: use the Weir that wrote it, or a newer one"};
  }
  return header;
}

Bytes encode(const Publish& publish) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.text(publish.name);
  writer.put(publish.number);
  writer.put(publish.stream);
  writer.put(static_cast<std::uint8_t>(publish.ends));
  writer.blob(publish.frame);
  if (!publish.shared.empty()) writer.blob(publish.shared);
  return bytes;
}

Result<Publish> decode_publish(BytesView body) {
  ByteReader reader(body);
  Publish publish;
  publish.name = reader.text();
  publish.number = reader.get<std::uint64_t>();
  publish.stream = reader.get<std::uint32_t>();
  publish.ends = reader.get<std::uint8_t>() != 0;
  publish.frame = reader.blob();
  if (reader.ok() && !reader.at_end()) publish.shared = reader.blob();
  if (!reader.ok() || !reader.at_end()) return {Code::kCorrupt, "a journal entry of a producer that is malformed"};
  return publish;
}

Bytes encode(const SnapshotTaken& snapshot) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(snapshot.file);
  writer.put(snapshot.through);
  writer.put(snapshot.bytes);
  return bytes;
}

Result<SnapshotTaken> decode_snapshot(BytesView body) {
  ByteReader reader(body);
  SnapshotTaken snapshot;
  snapshot.file = reader.get<std::uint64_t>();
  snapshot.through = reader.get<std::uint64_t>();
  snapshot.bytes = reader.get<std::uint64_t>();
  if (!reader.ok() || !reader.at_end()) return {Code::kCorrupt, "a journal entry of a snapshot that is malformed"};
  return snapshot;
}

Bytes encode(const LettersMoved& moved) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(moved.bytes);
  writer.put(static_cast<std::uint32_t>(moved.erased.size()));
  for (const LettersMoved::Erased& erased : moved.erased) {
    writer.put(erased.lane);
    writer.blob(erased.changes);
  }
  writer.put(static_cast<std::uint32_t>(moved.again.size()));
  for (const LettersMoved::Again& again : moved.again) {
    writer.put(again.lane);
    writer.blob(again.key);
    writer.blob(again.letter);
  }
  return bytes;
}

Result<LettersMoved> decode_letters_moved(BytesView body) {
  ByteReader reader(body);
  LettersMoved moved;
  moved.bytes = reader.get<std::uint64_t>();
  const std::uint32_t erased = reader.count(8);
  for (std::uint32_t i = 0; i < erased; ++i) {
    const auto lane = reader.get<std::uint32_t>();
    moved.erased.push_back({lane, reader.blob()});
  }
  const std::uint32_t again = reader.count(12);
  for (std::uint32_t i = 0; i < again; ++i) {
    LettersMoved::Again letter;
    letter.lane = reader.get<std::uint32_t>();
    letter.key = reader.blob();
    letter.letter = reader.blob();
    moved.again.push_back(letter);
  }
  if (!reader.ok() || !reader.at_end()) return {Code::kCorrupt, "a journal entry of dead letters that is malformed"};
  return moved;
}

Bytes encode(const std::vector<ParkedAsked>& asked) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(static_cast<std::uint32_t>(asked.size()));
  for (const ParkedAsked& one : asked) {
    writer.put(one.lane);
    writer.blob(one.key);
    writer.blob(one.drops);
  }
  return bytes;
}

Result<std::vector<ParkedAsked>> decode_parked_asked(BytesView body) {
  ByteReader reader(body);
  std::vector<ParkedAsked> asked;
  const std::uint32_t count = reader.count(12);
  for (std::uint32_t i = 0; i < count; ++i) {
    ParkedAsked one;
    one.lane = reader.get<std::uint32_t>();
    one.key = reader.blob();
    one.drops = reader.blob();
    asked.push_back(one);
  }
  if (!reader.ok() || !reader.at_end()) return {Code::kCorrupt, "a journal entry of parked keys that is malformed"};
  return asked;
}

Bytes encode(const Replay& replay) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(replay.stream);
  writer.put(static_cast<std::uint8_t>(replay.reset));
  writer.put(static_cast<std::uint32_t>(replay.from.size()));
  for (const Replay::From& from : replay.from) {
    writer.put(from.offset);
    writer.put(from.frame);
  }
  return bytes;
}

Result<Replay> decode_replay(BytesView body) {
  ByteReader reader(body);
  Replay replay;
  replay.stream = reader.get<std::uint32_t>();
  replay.reset = reader.get<std::uint8_t>() != 0;
  const std::uint32_t count = reader.count(16);
  for (std::uint32_t i = 0; i < count; ++i) {
    Replay::From from;
    from.offset = reader.get<std::uint64_t>();
    from.frame = reader.get<std::uint64_t>();
    replay.from.push_back(from);
  }
  if (!reader.ok() || !reader.at_end()) return {Code::kCorrupt, "a journal entry of a replay that is malformed"};
  return replay;
}

Bytes encode(const GroupMoved& moved) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(moved.what);
  writer.put(moved.stream);
  writer.text(moved.group);
  writer.put(static_cast<std::uint32_t>(moved.to.size()));
  for (const GroupMoved::To& to : moved.to) {
    writer.put(to.shard);
    writer.put(to.offset);
  }
  return bytes;
}

Result<GroupMoved> decode_group_moved(BytesView body) {
  ByteReader reader(body);
  GroupMoved moved;
  moved.what = reader.get<GroupMoved::What>();
  moved.stream = reader.get<std::uint32_t>();
  moved.group = reader.text();
  const std::uint32_t count = reader.count(12);
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto shard = reader.get<std::uint32_t>();
    moved.to.push_back({shard, reader.get<std::uint64_t>()});
  }
  const bool known = moved.what >= GroupMoved::What::kEntered && moved.what <= GroupMoved::What::kDropped;
  if (!reader.ok() || !reader.at_end() || !known)
    return {Code::kCorrupt, "a journal entry of a group outside that is malformed"};
  return moved;
}

Bytes encode(const std::vector<Lost>& lost) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(static_cast<std::uint32_t>(lost.size()));
  for (const Lost& one : lost) {
    writer.put(one.stream);
    writer.put(one.records);
  }
  return bytes;
}

Result<std::vector<Lost>> decode_lost(BytesView body) {
  ByteReader reader(body);
  std::vector<Lost> lost(reader.count(12));
  for (Lost& one : lost) {
    one.stream = reader.get<std::uint32_t>();
    one.records = reader.get<std::uint64_t>();
  }
  if (!reader.ok() || !reader.at_end()) return {Code::kCorrupt, "a journal entry of lost records that is malformed"};
  return lost;
}

Bytes encode(const Scaled& scaled) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(scaled.workers);
  writer.put(scaled.by);
  return bytes;
}

Result<Scaled> decode_scaled(BytesView body) {
  ByteReader reader(body);
  Scaled scaled;
  scaled.workers = reader.get<std::uint32_t>();
  scaled.by = reader.get<Scaled::By>();
  const bool known = scaled.by >= Scaled::By::kPerson && scaled.by <= Scaled::By::kLoad;
  if (!reader.ok() || !reader.at_end() || !known)
    return {Code::kCorrupt, "a journal entry of a number of workers that is malformed"};
  return scaled;
}

void put(ByteWriter& writer, const Boundary& boundary) {
  writer.put(static_cast<std::uint8_t>(boundary.index()));
  if (const auto* text = std::get_if<std::string>(&boundary)) return writer.text(*text);
  if (const auto* real = std::get_if<double>(&boundary)) return writer.put(std::bit_cast<std::uint64_t>(*real));
  if (const auto* natural = std::get_if<std::uint64_t>(&boundary)) return writer.put(*natural);
  writer.put(std::get<std::int64_t>(boundary));
}

std::optional<Boundary> get_boundary(ByteReader& reader) {
  switch (reader.get<std::uint8_t>()) {
    case 0:
      if (const auto below_zero = reader.get<std::int64_t>(); below_zero < 0) return below_zero;
      break;
    case 1:
      return reader.get<std::uint64_t>();
    case 2:
      if (const auto real = std::bit_cast<double>(reader.get<std::uint64_t>()); !std::isnan(real)) return real;
      break;
    case 3:
      return reader.text();
    default:
      break;
  }
  return std::nullopt;
}

Bytes encode(const BoundariesMoved& moved) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(moved.stream);
  writer.put(static_cast<std::uint32_t>(moved.boundaries.size()));
  for (const Boundary& boundary : moved.boundaries) put(writer, boundary);
  return bytes;
}

Result<BoundariesMoved> decode_boundaries_moved(BytesView body) {
  ByteReader reader(body);
  BoundariesMoved moved;
  moved.stream = reader.get<std::uint32_t>();
  const std::uint32_t count = reader.count(5);
  bool known = true;
  for (std::uint32_t i = 0; i < count && known; ++i) {
    auto boundary = get_boundary(reader);
    known = boundary.has_value();
    if (known) moved.boundaries.push_back(std::move(*boundary));
  }
  if (!known || !reader.ok() || !reader.at_end())
    return {Code::kCorrupt, "a journal entry of boundaries that is malformed"};
  return moved;
}

Bytes encode(const Relocated& relocated) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(relocated.step);
  writer.put(static_cast<std::uint32_t>(relocated.changes.size()));
  for (const Relocated::Changes& changes : relocated.changes) {
    writer.put(changes.stage);
    writer.put(changes.lane);
    writer.blob(changes.changes);
  }
  return bytes;
}

Result<Relocated> decode_relocated(BytesView body) {
  ByteReader reader(body);
  Relocated relocated;
  relocated.step = reader.get<Relocated::Step>();
  const std::uint32_t count = reader.count(12);
  for (std::uint32_t i = 0; i < count; ++i) {
    Relocated::Changes changes;
    changes.stage = reader.get<std::uint32_t>();
    changes.lane = reader.get<std::uint32_t>();
    changes.changes = reader.blob();
    relocated.changes.push_back(changes);
  }
  const bool known = relocated.step >= Relocated::Step::kPortion && relocated.step <= Relocated::Step::kDone;
  if (!reader.ok() || !reader.at_end() || !known)
    return {Code::kCorrupt, "a journal entry of relocated state that is malformed"};
  return relocated;
}

}  // namespace weir::core
