// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "stages/keyed/emission.h"
#include "weir/pointer.h"
#include "weir/stage.h"

namespace weir::keyed {

/// keyed.reduce: the least, greatest, mean or latest of what stands at `field` of a key's values. min and max compare
/// numbers with numbers and strings with strings (by their bytes) and emit what they found as it was; avg is a float;
/// last takes anything. A value that cannot be compared with what the key has, NaN, and a missing field are errors of
/// the record.
class Reduce final : public Stage {
 public:
  enum class Op { kMin, kMax, kAvg, kLast };

  static constexpr bool kKeyed = true;
  static constexpr bool kKeyPreserving = true;
  static constexpr std::string_view kSchema = R"({
    "type": "object",
    "description": "Reduces a field of each key's records to one value",
    "properties": {
      "op": {"type": "string", "enum": ["min", "max", "avg", "last"], "description": "what to keep of the key's values"},
      "field": {"type": "string", "default": "", "pattern": "^(/.*)?$",
                "description": "JSON Pointer into the value; empty: the value itself"},
      "emit": {"type": "string", "enum": ["every", "final"], "default": "every",
               "description": "every: after each record; final: one record per key when the input has ended"}
    },
    "required": ["op"],
    "additionalProperties": false,
    "x-weir-final": {"properties": {"emit": {"const": "final"}}, "required": ["emit"]},
    "x-weir-order-sensitive": {"properties": {"op": {"const": "last"}}}
  })";

  explicit Reduce(const Config& config);
  void process(const RecordView& in, Context& out) override;
  void merge(const PartialView& partial, Context& out) override;
  void finish(Context& out) override;

 private:
  void average(const RecordView& in, Context& out);
  void select(const RecordView& in, Context& out);
  /// Of what a key has and what comes: the one that the operation keeps. Errors: DecodeError.
  [[nodiscard]] bool better(ValueView found, const std::string& chosen) const;

  Op op_;
  Pointer field_;
  Emission emission_;
};

}  // namespace weir::keyed
