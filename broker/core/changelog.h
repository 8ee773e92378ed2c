// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "broker/core/entry.h"
#include "broker/core/place.h"
#include "broker/core/segment_use.h"

namespace weir::core {

/// Changes of one (stage, lane) in one journal entry.
struct ChangesPlace {
  Sequence sequence;
  std::uint32_t lane = 0;
  Place place;
};

/// Where the state of one stage lies: the newest snapshot, and the changes behind it.
/// Thread: the core's.
class Changelog {
 public:
  void append(ChangesPlace changes);
  /// `taken` replaces the snapshot, and the changes before its `through` are no longer needed.
  void snapshot(const SnapshotTaken& taken);

  /// What entries before `at` put into Space::kState counts no more; dead letters and parked records do.
  void reset(Sequence at) { reset_before_ = at.value(); }
  [[nodiscard]] std::uint64_t reset_before() const { return reset_before_; }
  /// The newest snapshot holds nothing that came behind the reset.
  [[nodiscard]] bool snapshot_reset() const { return newest_ && newest_->through <= reset_before_; }

  [[nodiscard]] const std::optional<SnapshotTaken>& newest() const { return newest_; }
  [[nodiscard]] const std::deque<ChangesPlace>& tail() const { return tail_; }
  /// The changes of an entry lie there now: those of one lane, or of all that the entry changed, part by part in
  /// another segment and offset. Nothing happens where a snapshot has replaced them.
  void place(Sequence sequence, std::uint32_t lane, const Place& place);
  void place(Sequence sequence, std::uint64_t segment, std::uint32_t offset);
  /// Null where a snapshot has replaced them.
  [[nodiscard]] const ChangesPlace* find(Sequence sequence, std::uint32_t lane) const;
  [[nodiscard]] const SegmentUse& use() const { return use_; }
  [[nodiscard]] std::uint64_t tail_bytes() const { return tail_bytes_; }

 private:
  void place(ChangesPlace& changes, const Place& place);
  [[nodiscard]] std::size_t index_of(Sequence sequence, std::uint32_t lane) const;  ///< tail_.size(): nowhere

  std::optional<SnapshotTaken> newest_;
  std::uint64_t reset_before_ = 0;
  std::deque<ChangesPlace> tail_;  ///< by rising sequence
  SegmentUse use_;
  std::uint64_t tail_bytes_ = 0;
};

}  // namespace weir::core
