// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "stages/bench/record_maker.h"
#include "weir/source.h"

namespace weir::bench {

/// bench.spread: the records of bench.records, each at the next one of its ports, so that how many streams they go
/// through is up to the topology.
class Spread final : public Source {
 public:
  static constexpr std::array kOutputs{"out0", "out1", "out2",  "out3",  "out4",  "out5",  "out6",  "out7",
                                       "out8", "out9", "out10", "out11", "out12", "out13", "out14", "out15"};
  static constexpr std::string_view kSchema = R"({
    "type": "object",
    "description": "The records of weir bench, spread over sixteen ports",
    "properties": {
      "records": {"type": "integer", "minimum": 1, "description": "how many"},
      "keys": {"type": "integer", "minimum": 1, "maximum": 10000000, "description": "of so many keys"},
      "pad": {"type": "integer", "minimum": 0, "description": "letters that fill the value"},
      "started": {"type": "string", "format": "path", "description": "the file that tells when it began"}
    },
    "required": ["records", "keys", "pad", "started"],
    "additionalProperties": false
  })";

  explicit Spread(const Config& config);
  void splits(SplitList& list) override;
  Progress read(Split& split, Context& out) override;

 private:
  std::uint64_t records_;
  RecordMaker maker_;
  std::string started_;
};

}  // namespace weir::bench
