// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "sdk/base/ids.h"

namespace weir::host {

/// What the taker of a link has said that it can take, and what it was sent: bytes, as running totals.
struct LinkCredit {
  std::uint64_t window = 0;  ///< the first credit
  std::uint64_t credit = 0;  ///< in all
  std::uint64_t bytes = 0;   ///< sent
  void take(std::uint64_t total) {
    if (window == 0) window = total;
    credit = std::max(credit, total);
  }
  [[nodiscard]] std::uint64_t under_way() const { return bytes + window - credit; }
  /// One piece of any size when nothing else is under way.
  [[nodiscard]] bool admits(std::uint64_t size) const {
    return window != 0 && (under_way() == 0 || bytes + size <= credit);
  }
};

/// First credits of takers that this worker has not been told of yet. Of too many the oldest are forgotten.
class EarlyCredits {
 public:
  void keep(Incarnation taker, std::uint32_t stream, std::uint64_t total) {
    credits_.try_emplace({taker, stream}, total);
    if (credits_.size() > kMax) credits_.erase(credits_.begin());
  }
  /// Takes it out. 0: none has come.
  std::uint64_t take(Incarnation taker, std::uint32_t stream) {
    const auto found = credits_.find({taker, stream});
    if (found == credits_.end()) return 0;
    const std::uint64_t total = found->second;
    credits_.erase(found);
    return total;
  }

 private:
  static constexpr std::size_t kMax = 4096;
  std::map<std::pair<Incarnation, std::uint32_t>, std::uint64_t> credits_;
};

}  // namespace weir::host
