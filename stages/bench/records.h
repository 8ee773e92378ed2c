// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "stages/bench/record_maker.h"
#include "weir/source.h"

namespace weir::bench {

/// bench.records: the records of a benchmark, as fast as they are taken; or, with `rate`, each at its moment, whatever
/// becomes of those before it (an open loop), with that moment as its number.
class Records final : public Source {
 public:
  static constexpr std::string_view kSchema = R"({
    "type": "object",
    "description": "The records of weir bench",
    "properties": {
      "records": {"type": "integer", "minimum": 1, "description": "how many"},
      "keys": {"type": "integer", "minimum": 1, "maximum": 10000000, "description": "of so many keys"},
      "pad": {"type": "integer", "minimum": 0, "description": "letters that fill the value"},
      "rate": {"type": "number", "exclusiveMinimum": 0, "description": "records a second; absent: as fast as they are taken"},
      "started": {"type": "string", "format": "path", "description": "the file that tells when it began"}
    },
    "required": ["records", "keys", "pad", "started"],
    "additionalProperties": false
  })";

  explicit Records(const Config& config);
  void splits(SplitList& list) override;
  Progress read(Split& split, Context& out) override;

 private:
  Progress read_paced(std::uint64_t index, Split& split, Context& out);

  std::uint64_t records_;
  RecordMaker maker_;
  std::optional<double> rate_;
  std::string started_;
  std::uint64_t start_ns_ = 0;
};

}  // namespace weir::bench
