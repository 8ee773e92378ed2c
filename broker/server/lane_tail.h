// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
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
  /// with `reset` what is in Space::kState. Errors: kCorrupt.
  Status add(BytesView changes, bool reset);
  /// The last change of each entry, put or erase, by compare_places. Borrows this object.
  [[nodiscard]] std::vector<wire::Change> sorted() const;

 private:
  struct Same {
    bool operator()(const wire::Change& a, const wire::Change& b) const { return compare_places(a, b) == 0; }
  };
  struct Hash {
    std::size_t operator()(const wire::Change& change) const;
  };
  std::deque<Bytes> changes_;  ///< that last_ borrows
  std::vector<wire::Change> last_;
  std::unordered_map<wire::Change, std::size_t, Hash, Same> index_;  ///< of entries: which one of last_
};

}  // namespace weir::server
