// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "weir/sink.h"

namespace weir::bench {

/// bench.sink: counts records, and sums a hash of each (topologies/bench/README.md, "The digest"), so that order does
/// not matter and each record does. Tells both in `report` when it is closed. With `latencies` it also writes there,
/// record by record, how many nanoseconds have passed since the moment that the value's field "n" names, as 8 bytes of
/// this machine.
class Digest final : public Sink {
 public:
  static constexpr std::string_view kSchema = R"({
    "type": "object",
    "description": "The sink of weir bench",
    "properties": {
      "report": {"type": "string", "format": "path", "description": "the file that tells what came"},
      "latencies": {"type": "string", "format": "path", "description": "the file of latencies"}
    },
    "required": ["report"],
    "additionalProperties": false
  })";

  explicit Digest(const Config& config);
  void open(const Target& target) override;
  void write(const RecordView& in) override;
  void flush() override;
  void close(std::uint32_t shard) override;

 private:
  std::string report_;
  std::string latencies_;
  std::uint64_t records_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t first_ns_ = 0;
  std::uint64_t last_ns_ = 0;
  std::vector<std::uint64_t> took_ns_;
};

}  // namespace weir::bench
