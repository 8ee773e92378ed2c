// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace weir::bench {

/// How often values came, each kept to three significant digits: values up to 2,048 have a bucket each, each power of
/// two above has 1,024 of one width. So a bucket is never wider than a thousandth of what is in it, whatever the range,
/// and adding costs the same always. (After Gil Tene's HdrHistogram, which Debian 12 has for Java and Go.)
class Histogram {
 public:
  void add(std::uint64_t value);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  /// Of all values, exact; 0 where there are none.
  [[nodiscard]] std::uint64_t most() const { return most_; }
  /// The least value that this share of the values (0 to 1) does not exceed, at most a thousandth too large.
  /// REQUIRES: count() != 0.
  [[nodiscard]] std::uint64_t percentile(double share) const;

 private:
  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  std::uint64_t most_ = 0;
};

}  // namespace weir::bench
