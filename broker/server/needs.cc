// SPDX-License-Identifier: Apache-2.0
#include "broker/server/needs.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "broker/server/snapshot_file.h"
#include "sdk/wire/changes.h"

namespace weir::server {
namespace {

Status readable(BytesView changes) {
  wire::ChangesReader reader(changes);
  while (reader.next()) {
  }
  return reader.ok() ? Status() : Status(Code::kCorrupt, "malformed state changes");
}

}  // namespace

std::vector<Need> needs_of(const core::Ledger& ledger) {
  std::vector<Need> needs;
  for (std::uint32_t index = 0; index < ledger.topology().streams.size(); ++index) {
    const core::StreamState& stream = ledger.stream(index);
    for (std::uint64_t frame = stream.first_frame(); frame < stream.end_frame(); ++frame) {
      const core::FrameSlot& slot = stream.slot(frame);
      needs.push_back({slot.place, slot.sequence, false, index, frame, slot.records});
    }
  }
  for (std::uint32_t stage = 0; stage < ledger.topology().stages.size(); ++stage) {
    for (const core::ChangesPlace& changes : ledger.changelog(stage).tail()) {
      needs.push_back({changes.place, changes.sequence, true, stage, changes.lane, 0});
    }
  }
  std::sort(needs.begin(), needs.end(), [](const Need& a, const Need& b) {
    return std::tie(a.place.segment, a.place.offset, a.place.at) <
           std::tie(b.place.segment, b.place.offset, b.place.at);
  });
  return needs;
}

std::map<std::uint64_t, std::uint32_t> snapshots_of(const core::Ledger& ledger) {
  std::map<std::uint64_t, std::uint32_t> files;
  for (std::uint32_t stage = 0; stage < ledger.topology().stages.size(); ++stage) {
    const auto& newest = ledger.changelog(stage).newest();
    if (newest && newest->file != 0) files[newest->file] = stage;
  }
  return files;
}

std::string describe(const Need& need, const Topology& topology) {
  if (need.is_state) {
    return fmt::format("the state of stage \"{}\", shard {} (entry {})", topology.stages[need.index].name, need.number,
                       need.sequence.value());
  }
  return fmt::format("{} records of stream \"{}\" that wait (entry {})", need.records,
                     topology.streams[need.index].name, need.sequence.value());
}

Status try_to_read(JournalReader& reader, const Need& need) {
  const auto bytes = reader.read(need.place);
  if (!bytes.ok()) return bytes.status();
  if (need.is_state) return readable(*bytes);
  const auto view = wire::FrameView::parse(*bytes);
  if (!view.ok()) return view.status();
  if (view->header().stream != need.index) return {Code::kCorrupt, "the frame is of another stream"};
  return {};
}

Status try_to_read_snapshot(journal::Disk& disk, std::uint64_t file) {
  const auto snapshot = SnapshotReader::open(disk, file);
  if (!snapshot.ok()) return snapshot.status();
  for (const std::uint32_t lane : snapshot->lanes()) {
    if (Status read = snapshot->read(lane, readable); !read.ok()) return read;
  }
  return {};
}

}  // namespace weir::server
