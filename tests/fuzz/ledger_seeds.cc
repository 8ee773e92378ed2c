// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/ledger_seeds.h"

#include <string>
#include <utility>

#include "broker/core/copy_job.h"
#include "sdk/topology/resolved_file.h"
#include "sdk/wire/batch.h"
#include "sdk/wire/changes.h"
#include "tests/fuzz/fuzz.h"

namespace weir::fuzz {
namespace {

using core::EntryHeader;
using core::EntryType;

enum StreamIndex : std::uint32_t { kIn, kOutside, kOut, kLast };
enum StageIndex : std::uint32_t { kRead, kWork, kPass, kWrite };

Bytes frame(std::uint32_t stream, std::uint32_t shard, std::uint64_t offset, std::uint32_t count) {
  Bytes records;
  for (std::uint32_t i = 0; i < count; ++i) wire::append_record(records, {7, as_bytes("\xa1k"), as_bytes("\x05"), {}});
  const wire::FrameHeader header{stream, 1, count, 5};
  const wire::BatchHeader batch{shard, count, static_cast<std::uint32_t>(records.size()), 0, offset, 9};
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.raw(std::as_bytes(std::span(&header, 1)));
  writer.raw(std::as_bytes(std::span(&batch, 1)));
  writer.raw(records);
  return bytes;
}

Bytes entry(EntryHeader header, BytesView body) {
  Bytes bytes = core::encode_header(header);
  bytes.insert(bytes.end(), body.begin(), body.end());
  return bytes;
}

Bytes transaction(std::uint32_t stage, wire::Commit commit, const std::vector<Bytes>& frames = {}) {
  Bytes body;
  const std::vector<BytesView> views(frames.begin(), frames.end());
  wire::encode(commit, views, body);
  return entry({EntryType::kTransaction, {}, stage, 1ULL << 32}, body);
}

Bytes letter() {
  wire::DeadLetter letter;
  letter.stream = "in";
  letter.reason = "it cannot be counted";
  letter.key_bytes = letter.value_bytes = as_bytes("\xa1k");
  return wire::encode(letter);
}

Bytes changes(wire::Space space, BytesView name, BytesView key, std::optional<BytesView> value) {
  Bytes bytes;
  wire::append_change(bytes, {space, name, key, value});
  return bytes;
}

}  // namespace

bool is_small(std::string_view resolved) {
  constexpr std::uint64_t kShardsMax = 4096;
  const auto topology = decode_resolved(resolved);
  if (!topology.ok()) return true;
  std::uint64_t shards = 0;
  for (const Stream& stream : topology->streams) shards += stream.shards;
  return shards * (1 + topology->stages.size()) <= kShardsMax;
}

Topology ledger_topology() {
  Topology topology;
  topology.name = "seed";
  const auto stream = [&](const char* name, PartitionBy partition, std::uint32_t shards) {
    Stream added;
    added.name = name;
    added.partition = partition;
    added.shards = shards;
    topology.streams.push_back(std::move(added));
  };
  stream("in", PartitionBy::kHash, 2);
  stream("outside", PartitionBy::kHash, 2);
  topology.streams.back().external_in = true;
  stream("out", PartitionBy::kNone, 1);
  topology.streams.back().external_out = true;
  stream("last", PartitionBy::kNone, 2);
  const auto stage = [&](const char* name, PluginKind kind, std::vector<std::uint32_t> in,
                         std::vector<std::uint32_t> out) {
    StageSpec added;
    added.name = added.plugin = name;
    added.kind = kind;
    added.workers = 1;
    for (const std::uint32_t each : in) added.inputs.push_back({"in", each});
    for (const std::uint32_t each : out) added.outputs.push_back({"out", each});
    added.host = static_cast<std::uint32_t>(topology.stages.size());
    topology.stages.push_back(std::move(added));
  };
  stage("read", PluginKind::kSource, {}, {kIn});
  stage("work", PluginKind::kStage, {kIn, kOutside}, {kOut});
  topology.stages.back().keyed = true;
  topology.stages.back().then = OnErrorThen::kParkKey;
  stage("pass", PluginKind::kStage, {kOut}, {kLast});
  stage("write", PluginKind::kSink, {kLast}, {});
  return topology;
}

std::vector<Bytes> ledger_entries() {
  std::vector<Bytes> list;
  const auto add = [&](EntryHeader header, BytesView body) { list.push_back(entry(header, body)); };
  add({EntryType::kTopology}, as_bytes(encode_resolved_briefly(ledger_topology())));

  wire::Commit found;
  found.transaction = 1;
  found.splits_found = {"a", "b"};
  found.enumeration_ended = true;
  list.push_back(transaction(kRead, found));

  wire::Commit read;
  read.transaction = 2;
  read.splits = {{0, true, as_bytes("\x05")}};
  read.advanced = {{0, 6}};
  read.counters = {{kRead, 0, 5, 0, 0}};
  list.push_back(transaction(kRead, read, {frame(kIn, 0, 0, 5)}));

  core::Publish publish;
  publish.name = "producer";
  publish.number = 3;
  publish.stream = kOutside;
  const Bytes published = frame(kOutside, 1, 0, 2);
  publish.frame = published;
  add({EntryType::kPublish}, core::encode(publish));

  const Bytes kept = letter();
  const Bytes place = wire::dead_letter_key(*wire::decode_dead_letter(kept));
  wire::Commit work;
  work.transaction = 1;
  work.consumed = {{kIn, 0, 0, 3}, {kOutside, 1, 0, 2}};
  work.causes = {{kWork, true, "utf8", 6}};
  Bytes changed = changes(wire::Space::kState, {}, as_bytes("\xa1k"), as_bytes("\x09"));
  for (const Bytes& more :
       {changes(wire::Space::kDeadLetter, {}, place, BytesView(kept)),
        changes(wire::Space::kParked, wire::encode(wire::ParkedName{1, 90}), place, BytesView(kept))})
    changed.insert(changed.end(), more.begin(), more.end());
  work.changes = {{kWork, 0, changed}};
  list.push_back(transaction(kWork, work, {frame(kOut, 0, 0, 6)}));

  wire::Commit ahead;
  ahead.transaction = 1;
  ahead.consumed = {{kOut, 0, 2, 4}};
  list.push_back(transaction(kPass, ahead, {frame(kLast, 1, 0, 2)}));

  core::LettersMoved moved;
  const Bytes erased = changes(wire::Space::kDeadLetter, {}, place, std::nullopt);
  moved.bytes = 40;
  moved.erased = {{0, erased}};
  moved.again = {{0, place, kept}};
  add({EntryType::kLetters, {}, kWork}, core::encode(moved));
  add({EntryType::kParked, {}, kWork}, core::encode(std::vector<core::ParkedAsked>{{0, as_bytes("\xa1k"), {}}}));

  wire::Commit again;
  again.transaction = 2;
  const Bytes worked_off = changes(wire::Space::kRequeued, {}, wire::requeued_key(1), std::nullopt);
  again.changes = {{kWork, 0, worked_off}};
  list.push_back(transaction(kWork, again));

  add({EntryType::kSnapshot, {}, kWork}, core::encode(core::SnapshotTaken{1, 3, 100}));
  const core::CopyItem item{core::CopyItem::Kind::kFrame, kIn, 0, 0, {}};
  const Bytes copied = frame(kIn, 0, 0, 5);
  const BytesView copies[] = {copied};
  add({EntryType::kCopied}, core::encode_copied({&item, 1}, copies));
  add({EntryType::kCheckpoint}, {});
  core::Replay back;
  back.stream = kIn;
  back.reset = true;
  back.from = {{1, 0}, {0, 0}};
  add({EntryType::kReplay, {}, kWork}, core::encode(back));

  using What = core::GroupMoved::What;
  add({EntryType::kGroup}, core::encode(core::GroupMoved{What::kEntered, kOut, "outside", {{0, 0}}}));
  add({EntryType::kGroup}, core::encode(core::GroupMoved{What::kEntered, kOut, "away", {{0, 1}}}));
  add({EntryType::kGroup}, core::encode(core::GroupMoved{What::kConsumed, kOut, "outside", {{0, 1}}}));
  add({EntryType::kGroup}, core::encode(core::GroupMoved{What::kDropped, kOut, "away", {}}));
  add({EntryType::kScaled, {}, kWork}, core::encode(core::Scaled{3, core::Scaled::By::kPerson}));
  const core::LibraryVersion one{std::string(32, 'a'), "a.so", "/a.so"};
  const core::LibraryVersion two{std::string(32, 'b'), "b.so", "/b.so"};
  const core::StageLibrary library{two, one, one.hash, core::StageLibrary::By::kPerson, "", false, ""};
  add({EntryType::kUpgraded, {}, kWork}, core::encode(core::Upgraded{core::Upgraded::What::kWanted, library}));
  add({EntryType::kUpgraded, {}, kWork}, core::encode(core::Upgraded{core::Upgraded::What::kSettled, {}}));

  wire::Commit written;
  written.transaction = 1;
  written.consumed = {{kLast, 1, 0, 2}};
  const Bytes position = changes(wire::Space::kPosition, {}, {}, as_bytes("\x2a"));
  written.changes = {{kWrite, 0, position}};
  written.finished = {0};
  list.push_back(transaction(kWrite, written));
  return list;
}

Status replay(core::Ledger& ledger, const std::vector<Bytes>& entries) {
  std::uint64_t sequence = 0;
  for (const Bytes& payload : entries) {
    const core::Place place{1 + sequence / 4, static_cast<std::uint32_t>(4096 * (1 + sequence % 4)), 0, 0};
    const Status status = ledger.apply(Sequence(sequence++), core::Buffer::of(Bytes(payload)), place, false);
    if (!status.ok()) return status;
  }
  return {};
}

void check_encoding(const core::Ledger& ledger, const Topology& expected) {
  std::vector<core::Ledger::Fixup> fixups;
  const Bytes encoded = ledger.encode_checkpoint(fixups);
  WEIR_CHECK(fixups.empty(), "everything lies somewhere");
  core::Ledger again(expected);
  const Status status = again.decode_checkpoint(encoded);
  WEIR_CHECK(status.ok(), "a ledger that came of a start is refused as a checkpoint: " + status.error().message);
  WEIR_CHECK(again.encode_checkpoint(fixups) == encoded, "a ledger is not what was encoded of it");
}

void look_around(core::Ledger& ledger) {
  const std::uint64_t oldest = ledger.segment_needed_min(UINT64_MAX);
  (void)ledger.needed_in(oldest, 1 << 20);
  (void)ledger.bytes_needed();
  const auto& topology = ledger.topology();
  for (std::uint32_t stream = 0; stream < topology.streams.size(); ++stream) {
    for (std::uint32_t shard = 0; shard < ledger.stream(stream).shards(); ++shard)
      WEIR_CHECK(ledger.kept_from(stream, shard) <= ledger.stream(stream).next_offset(shard),
                 "records are kept up to the last");
  }
  for (const core::UnitState& unit : ledger.units()) {
    std::uint64_t waiting = 0;
    for (const core::Lane& lane : unit.lanes) {
      for (const core::Cursor& cursor : lane.cursors) {
        const core::StreamState& stream = ledger.stream(unit.inputs()[cursor.input]);
        WEIR_CHECK(cursor.offset <= stream.next_offset(cursor.shard), "a cursor is within its shard");
        if (!unit.rests(cursor.input)) waiting += stream.next_offset(cursor.shard) - cursor.offset;
      }
    }
    WEIR_CHECK(unit.records_backlog <= waiting, "a group waits for what is there");
  }
  ledger.release(0, 10);
  ledger.release();
}

}  // namespace weir::fuzz
