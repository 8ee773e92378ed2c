// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "stages/generate/pace.h"
#include "weir/source.h"

namespace weir::generate {

/// generate.sequence: the integers from `from` to `to`, value n, key n or n mod `key_modulo` (never negative). The i-th
/// has the timestamp `start` + i * `interval`. One split; it ends, too, where the next integer does not fit 64 bits.
class Sequence final : public Source {
 public:
  static constexpr std::string_view kSchema = R"({
    "type": "object",
    "description": "Makes a sequence of integers, key and value",
    "properties": {
      "from": {"type": "integer", "default": 0, "description": "the first"},
      "to": {"type": "integer", "description": "the last, if the steps meet it; absent: endless"},
      "step": {"type": "integer", "default": 1, "not": {"const": 0}, "description": "what each adds to the one before"},
      "rate": {"type": "number", "exclusiveMinimum": 0, "description": "records a second; absent: as fast as they are taken"},
      "key_modulo": {"type": "integer", "minimum": 1, "description": "the key is the value modulo this; absent: the value"},
      "start": {"type": "integer", "default": 0,
                "description": "timestamp of the first, microseconds since 1970-01-01T00:00:00Z"},
      "interval": {"type": "string", "default": "1ms", "pattern": "^[0-9.]+(us|ms|s|m|h)$",
                   "description": "what each timestamp adds to the one before"}
    },
    "additionalProperties": false,
    "x-weir-endless": {"not": {"required": ["to"]}}
  })";

  explicit Sequence(const Config& config);
  void splits(SplitList& list) override;
  Progress read(Split& split, Context& out) override;

 private:
  [[nodiscard]] std::optional<std::int64_t> value_at(std::uint64_t index) const;

  std::int64_t from_;
  std::optional<std::int64_t> to_;
  std::int64_t step_;
  std::optional<std::int64_t> key_modulo_;
  std::int64_t start_;
  std::int64_t interval_us_;
  Pace pace_;
};

}  // namespace weir::generate
