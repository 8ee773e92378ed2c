// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "stages/keyed/emission.h"
#include "weir/stage.h"

namespace weir::keyed {

/// keyed.count: how many records a key has had.
class Count final : public Stage {
 public:
  static constexpr bool kKeyed = true;
  static constexpr bool kKeyPreserving = true;
  static constexpr std::string_view kSchema = R"({
    "type": "object",
    "description": "Counts the records of each key",
    "properties": {
      "emit": {"type": "string", "enum": ["every", "final"], "default": "every",
               "description": "every: after each record; final: one record per key when the input has ended"}
    },
    "additionalProperties": false,
    "x-weir-final": {"properties": {"emit": {"const": "final"}}, "required": ["emit"]}
  })";

  explicit Count(const Config& config) : emission_(emission_of(config)) {}
  void process(const RecordView& in, Context& out) override;
  void merge(const PartialView& partial, Context& out) override;
  void finish(Context& out) override;

 private:
  Emission emission_;
};

}  // namespace weir::keyed
