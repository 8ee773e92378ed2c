// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "broker/core/ledger.h"
#include "broker/core/outside.h"
#include "sdk/base/clock.h"

namespace weir::core {

/// The journal's segments by number; both ends are in it.
struct SegmentSpan {
  std::uint64_t oldest = 0;
  std::uint64_t newest = 0;
};

/// The work that keeps the journal short: checkpoints, snapshots and copies under way, and how far back the journal
/// reaches for the checkpoints in force. Thread: the core's.
struct Upkeep {
  /// A checkpoint that was taken of entries not all written yet; their places are filled in as they become known.
  struct Pending {
    CheckpointJob job;
    std::vector<Ledger::Fixup> fixups;
    std::size_t fixed = 0;
    std::uint64_t segment_through = 0;  ///< that its tail begins in
  };
  /// A checkpoint whose entry is on its way.
  struct Entered {
    Sequence sequence;
    std::uint64_t segment_from = 0;
  };

  void on_written(Sequence sequence, std::uint64_t segment, std::uint32_t offset);
  /// Checkpoints whose entries are on disk come into force.
  void on_durable(Sequence durable);

  /// The oldest segment that the last two checkpoints in force need.
  [[nodiscard]] std::uint64_t segment_from() const { return std::min(segment_from_before, segment_from_newest); }
  void on_restore(const RestoreJob& job);
  void on_restored(const RestoreJob& job);
  [[nodiscard]] bool checkpoint_under_way() const { return pending || writing || entered; }
  [[nodiscard]] bool lacks_room() const { return checkpoint_lacks_room || snapshot_lacks_room; }

  std::optional<Pending> pending;
  bool writing = false;  ///< the file of one is being written
  std::optional<Entered> entered;
  std::uint64_t segment_from_writing = 0;
  std::uint64_t segment_from_newest = 0;
  std::uint64_t segment_from_before = 0;
  std::uint64_t segment_now = 0;  ///< the one being written
  std::uint64_t bytes_since_checkpoint = 0;
  std::vector<std::uint64_t> files_of_last_checkpoint;
  std::uint32_t checkpoints_taken = 0;
  std::optional<std::uint32_t> compacting;      ///< the stage
  Monotonic compaction_from{0};                 ///< none before, since one has failed
  Monotonic checkpoint_from{0};                 ///< likewise
  bool checkpoint_lacks_room = false;           ///< the last one found none on the disk
  bool snapshot_lacks_room = false;             ///< likewise, and one is still wanted
  std::optional<Sequence> copied;               ///< the entry of a copy that is not written yet
  bool copying = false;                         ///< one is being read or written
  std::multiset<std::uint64_t> files_restored;  ///< the snapshots that restores under way read
  std::multiset<std::uint64_t> restoring_from;  ///< the oldest segment that each restore under way reads
};

}  // namespace weir::core
