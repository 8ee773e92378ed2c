// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "sdk/base/result.h"
#include "topologies/bench/histogram.h"

namespace weir::bench {

/// How long records took from the moment at which they were due.
struct Latency {
  std::uint64_t p50_ns = 0;
  std::uint64_t p90_ns = 0;
  std::uint64_t p99_ns = 0;
  std::uint64_t p999_ns = 0;
  std::uint64_t most_ns = 0;

  /// REQUIRES: histogram.count() != 0.
  static Latency of(const Histogram& histogram);
};

/// What a sink left: nanoseconds, 8 bytes of this machine each. Errors: kIo, also where they are not `records`.
Result<Histogram> read_latencies(const std::string& path, std::uint64_t records);

/// When record `index` is due: `started_ns` is the moment of the first.
inline std::uint64_t due_ns(std::uint64_t started_ns, std::uint64_t index, double rate) {
  return started_ns + static_cast<std::uint64_t>(static_cast<double>(index) * 1e9 / rate);
}

}  // namespace weir::bench
