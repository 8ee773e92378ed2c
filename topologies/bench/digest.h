// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace weir::bench {

/// What came, or should have: how many records, and the sum of a hash of each (README.md, "The digest").
struct Digest {
  std::uint64_t records = 0;
  std::uint64_t sum = 0;

  /// Both as MessagePack.
  void add(std::string_view key, std::string_view value);
  bool operator==(const Digest&) const = default;
};

}  // namespace weir::bench
