// SPDX-License-Identifier: Apache-2.0
#include "broker/server/replay.h"

namespace weir::server {

Status replay(journal::Journal& journal, const journal::Recovery& found, core::Ledger& ledger) {
  if (found.checkpoint) {
    if (Status status = ledger.decode_checkpoint(found.checkpoint_bytes); !status.ok()) return status;
  }
  return journal.replay(
      [&](Sequence sequence, journal::Position position, journal::EntryKind kind, BytesView payload) -> Status {
        if (kind == journal::EntryKind::kCheckpoint) {
          ledger.apply_checkpoint();
          return {};
        }
        const core::Place place{position.segment, position.offset, 0, static_cast<std::uint32_t>(payload.size())};
        return ledger.apply(sequence, core::Buffer::of(Bytes(payload.begin(), payload.end())), place, false);
      });
}

}  // namespace weir::server
