// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "broker/core/ledger.h"

namespace weir::core {

/// A ledger as earlier versions wrote it into checkpoints, before topologies stood there: written down a second time,
/// from what they wrote, so that nobody forgets to read it. Of a ledger without kept frames, changes, producers and
/// letters. `version`: 1 to 3.
inline Bytes old_checkpoint(const Ledger& ledger, std::uint32_t version) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(version);
  writer.text(ledger.topology().name);
  writer.put(ledger.next_sequence().value());
  writer.put(ledger.next_file());
  writer.put(ledger.external_total());
  writer.put(static_cast<std::uint8_t>(ledger.opened()));
  const auto streams = static_cast<std::uint32_t>(ledger.topology().streams.size());
  writer.put(streams);
  for (std::uint32_t index = 0; index < streams; ++index) {
    const StreamState& stream = ledger.stream(index);
    writer.put(stream.end_frame());
    writer.put(stream.records_total());
    writer.put(stream.bytes_total());
    writer.put(stream.watermark());
    writer.put(static_cast<std::uint8_t>(stream.external_ended));
    writer.put(stream.shards());
    for (std::uint32_t shard = 0; shard < stream.shards(); ++shard) writer.put(stream.next_offset(shard));
    writer.put(std::uint32_t{0});
  }
  writer.put(static_cast<std::uint32_t>(ledger.units().size()));
  for (const UnitState& unit : ledger.units()) {
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
        writer.put(std::uint32_t{0});
      }
    }
  }
  const auto stages = static_cast<std::uint32_t>(ledger.topology().stages.size());
  writer.put(stages);
  for (std::uint32_t stage = 0; stage < stages; ++stage) {
    for (int snapshot = 0; snapshot < 3; ++snapshot) writer.put(std::uint64_t{0});
    writer.put(std::uint32_t{0});
    const wire::Counted& totals = ledger.totals(stage);
    for (const std::uint64_t total : {totals.records_in, totals.records_out, totals.dead_letters, totals.late})
      writer.put(total);
    writer.put(ledger.dead_letter_bytes(stage));
  }
  writer.put(std::uint32_t{0});
  if (version == 1) return bytes;
  writer.put(std::uint64_t{1});
  for (std::uint32_t stage = 0; stage < stages; ++stage) writer.put(std::uint32_t{0});
  if (version == 2) return bytes;
  for (std::uint32_t stage = 0; stage < stages; ++stage) writer.put(std::uint64_t{0});
  return bytes;
}

}  // namespace weir::core
