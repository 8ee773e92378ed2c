// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/latency.h"

#include <fmt/format.h>

#include <fstream>

namespace weir::bench {

Latency Latency::of(const Histogram& histogram) {
  return {.p50_ns = histogram.percentile(0.5),
          .p90_ns = histogram.percentile(0.9),
          .p99_ns = histogram.percentile(0.99),
          .p999_ns = histogram.percentile(0.999),
          .most_ns = histogram.most()};
}

Result<Histogram> read_latencies(const std::string& path, std::uint64_t records) {
  std::ifstream file(path, std::ios::binary);
  Histogram histogram;
  std::uint64_t took_ns = 0;
  while (file.read(reinterpret_cast<char*>(&took_ns), sizeof took_ns)) histogram.add(took_ns);
  if (histogram.count() != records) {
    return {Code::kIo, fmt::format("{} holds {} latencies instead of {}", path, histogram.count(), records)};
  }
  return histogram;
}

}  // namespace weir::bench
