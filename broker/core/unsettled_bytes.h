// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <utility>

#include "sdk/base/ids.h"

namespace weir::core {

/// How much waits in memory to be settled, of all who sent it, those that are gone included. Thread: the core's.
class UnsettledBytes {
 public:
  /// The entry `sequence`, behind all before it.
  void add(Sequence sequence, std::uint64_t bytes) {
    entries_.emplace_back(sequence, bytes);
    total_ += bytes;
  }
  /// Everything before `sequence` is settled.
  void settle(Sequence sequence) {
    for (; !entries_.empty() && entries_.front().first < sequence; entries_.pop_front())
      total_ -= entries_.front().second;
  }
  [[nodiscard]] std::uint64_t total() const { return total_; }

 private:
  std::deque<std::pair<Sequence, std::uint64_t>> entries_;
  std::uint64_t total_ = 0;
};

}  // namespace weir::core
