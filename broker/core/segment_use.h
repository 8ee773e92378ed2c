// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace weir::core {

/// How many things that are still needed lie in each segment of the journal; what is not written yet does not count.
/// Thread: the core's.
class SegmentUse {
 public:
  void add(std::uint64_t segment) {
    if (segment != 0) ++count_[segment];
  }
  void remove(std::uint64_t segment) {
    const auto found = count_.find(segment);
    if (found != count_.end() && --found->second == 0) count_.erase(found);
  }
  [[nodiscard]] std::optional<std::uint64_t> oldest() const {
    return count_.empty() ? std::nullopt : std::optional(count_.begin()->first);
  }

 private:
  std::map<std::uint64_t, std::uint64_t> count_;
};

}  // namespace weir::core
