// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "sdk/base/check.h"

namespace weir::bench {
namespace {

constexpr std::uint64_t kExact = 2048;
constexpr std::uint64_t kPerPower = kExact / 2;
constexpr int kExactBits = 11;
static_assert(kExact == 1 << kExactBits);

/// How many low bits of `value` its bucket does not tell apart.
int dropped_bits(std::uint64_t value) { return std::max(static_cast<int>(std::bit_width(value)) - kExactBits, 0); }

std::size_t bucket_of(std::uint64_t value) {
  const int dropped = dropped_bits(value);
  return dropped * kPerPower + (value >> dropped);
}

std::uint64_t greatest_in(std::size_t bucket) {
  if (bucket < kExact) return bucket;
  const std::uint64_t dropped = bucket / kPerPower - 1;
  const std::uint64_t first = (bucket - dropped * kPerPower) << dropped;
  return first + ((std::uint64_t{1} << dropped) - 1);
}

}  // namespace

void Histogram::add(std::uint64_t value) {
  const std::size_t bucket = bucket_of(value);
  if (bucket >= buckets_.size()) buckets_.resize(bucket + 1);
  ++buckets_[bucket];
  ++count_;
  most_ = std::max(most_, value);
}

std::uint64_t Histogram::percentile(double share) const {
  WEIR_CHECK(count_ != 0, "a percentile of nothing");
  const auto wanted =
      std::clamp<std::uint64_t>(static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_))), 1, count_);
  std::uint64_t seen = 0;
  std::size_t bucket = 0;
  for (; bucket < buckets_.size(); ++bucket) {
    seen += buckets_[bucket];
    if (seen >= wanted) break;
  }
  return std::min(greatest_in(bucket), most_);
}

}  // namespace weir::bench
