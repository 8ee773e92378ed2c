// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "broker/core/outside.h"
#include "broker/journal/journal.h"
#include "broker/server/journal_reader.h"

namespace weir::server {

/// The slow work beside the journal: checkpoint files, snapshots, and taking away what nobody needs.
/// Thread: compact() on "keeper", checkpoint() on "checkpoints", each one at a time, the two side by side.
class Keeper {
 public:
  Keeper(journal::Journal& journal, journal::Disk& disk) : journal_(journal), disk_(disk), reader_(journal, disk) {}

  /// Writes the file; the answer is what the journal wants to find in its entry.
  Result<Bytes> checkpoint(const core::CheckpointJob& job);
  /// Errors leave no file behind.
  Status compact(core::CompactJob& job);

 private:
  void remove_snapshots(const core::CheckpointJob& job);

  journal::Journal& journal_;
  journal::Disk& disk_;
  JournalReader reader_;  ///< of compact()
};

}  // namespace weir::server
