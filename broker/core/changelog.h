// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "broker/core/entry.h"
#include "broker/core/place.h"

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

  [[nodiscard]] const std::optional<SnapshotTaken>& newest() const { return newest_; }
  [[nodiscard]] const std::deque<ChangesPlace>& tail() const { return tail_; }
  [[nodiscard]] std::deque<ChangesPlace>& tail() { return tail_; }
  [[nodiscard]] std::uint64_t tail_bytes() const { return tail_bytes_; }

 private:
  std::optional<SnapshotTaken> newest_;
  std::deque<ChangesPlace> tail_;
  std::uint64_t tail_bytes_ = 0;
};

}  // namespace weir::core
