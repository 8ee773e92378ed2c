// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "broker/core/outside.h"
#include "sdk/base/clock.h"

namespace weir::server {

/// Entries on their way to the journal that nobody waits for yet. Each would take a write, a sync and two hand-overs
/// between threads of its own; they go together with the next that is awaited, when they have come to some size, or
/// when the first has waited long enough. Pure: time is passed in. Thread: the server's.
class Gathering {
 public:
  static constexpr Monotonic kLongest{2'000};
  static constexpr std::size_t kBytesMax = 128 << 10;  ///< more gains nothing, and what waits for room waits for it

  void add(core::NewEntry entry, Monotonic now) {
    if (entries_.empty()) since_ = now;
    awaited_ |= entry.awaited;
    bytes_ += entry.payload.bytes.size();
    entries_.push_back(std::move(entry));
  }
  /// All of it goes, whoever waits for it.
  void hurry() { awaited_ = !entries_.empty(); }

  [[nodiscard]] bool due(Monotonic now) const {
    return !entries_.empty() && (awaited_ || bytes_ >= kBytesMax || now - since_ >= kLongest);
  }
  /// When it will be due if nothing more comes.
  [[nodiscard]] std::optional<Monotonic> due_at() const {
    if (entries_.empty()) return std::nullopt;
    return since_ + kLongest;
  }
  /// What has gathered, in order. Nothing is left.
  [[nodiscard]] std::vector<core::NewEntry> take() {
    awaited_ = false;
    bytes_ = 0;
    return std::exchange(entries_, {});
  }

 private:
  std::vector<core::NewEntry> entries_;
  std::size_t bytes_ = 0;
  Monotonic since_{0};
  bool awaited_ = false;
};

}  // namespace weir::server
