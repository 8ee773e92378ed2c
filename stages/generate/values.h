// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "stages/generate/pace.h"
#include "weir/source.h"

namespace weir::generate {

/// generate.values: the records that its configuration lists, in order, once or several times. A record without key has
/// nil, one without timestamp that of its number i, counted over all rounds: i milliseconds. One split.
class Values final : public Source {
 public:
  static constexpr std::string_view kSchema = R"({
    "type": "object",
    "description": "Emits what its configuration lists",
    "properties": {
      "values": {"type": "array", "minItems": 1, "description": "the records' values; no keys"},
      "records": {"type": "array", "minItems": 1, "description": "the records",
                  "items": {"type": "object",
                            "properties": {"key": {"description": "default: nil"},
                                           "value": {},
                                           "timestamp": {"type": "integer",
                                                         "description": "microseconds since 1970-01-01T00:00:00Z"}},
                            "required": ["value"], "additionalProperties": false}},
      "repeat": {"type": "integer", "minimum": 0, "default": 1, "description": "how often the list is emitted; 0: endlessly"},
      "rate": {"type": "number", "exclusiveMinimum": 0, "description": "records a second; absent: as fast as they are taken"}
    },
    "oneOf": [{"required": ["values"]}, {"required": ["records"]}],
    "additionalProperties": false,
    "x-weir-endless": {"properties": {"repeat": {"const": 0}}, "required": ["repeat"]}
  })";

  explicit Values(const Config& config);
  void splits(SplitList& list) override;
  Progress read(Split& split, Context& out) override;

 private:
  struct Listed {
    std::string key;    ///< MessagePack
    std::string value;  ///< MessagePack
    std::optional<Timestamp> timestamp;
  };

  [[nodiscard]] Timestamp timestamp_of(std::uint64_t index) const;
  [[nodiscard]] std::optional<Timestamp> watermark_before(std::uint64_t index) const;

  std::vector<Listed> list_;
  std::uint64_t rounds_;  ///< 0: endless
  bool timed_ = false;    ///< some record has a timestamp of its own
  Pace pace_;
};

}  // namespace weir::generate
