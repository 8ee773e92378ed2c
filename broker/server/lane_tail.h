// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>
#include <vector>

#include "sdk/base/bytes.h"
#include "sdk/base/result.h"
#include "sdk/wire/changes.h"

namespace weir::server {

/// Orders the entries of a lane: by space, length of the name, name, key. Negative: `a` comes first; 0: the same entry.
int compare_places(const wire::Change& a, const wire::Change& b);

/// The changes of one lane behind its snapshot, of which the last one of each entry counts. Thread: one at a time.
class LaneTail {
 public:
  /// Takes changes that are younger than all before. What belongs to no snapshot (a sink's position) is left out, and
  /// with `reset` what is in Space::kState.
  void add(BytesView changes, bool reset) { added_.emplace_back(Bytes(changes.begin(), changes.end()), reset); }
  /// The last change of each entry, put or erase, by compare_places. Borrows this object. Lane by lane, so that what it
  /// looks up again and again stays in the processor's cache. Errors: kCorrupt.
  [[nodiscard]] Result<std::vector<wire::Change>> sorted() const;

 private:
  std::vector<std::pair<Bytes, bool>> added_;
};

}  // namespace weir::server
