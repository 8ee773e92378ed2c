// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "stages/keyed/emission.h"
#include "weir/pointer.h"
#include "weir/stage.h"

namespace weir::keyed {

/// keyed.sum: the sum of the number at `field` of a key's values. An integer while all are integers, a float from the
/// first float on. A sum beyond 64 bits and what is no number are errors of the record, which then does not count.
class Sum final : public Stage {
 public:
  static constexpr bool kKeyed = true;
  static constexpr bool kKeyPreserving = true;
  static constexpr std::string_view kSchema = R"({
    "type": "object",
    "description": "Sums a number of each key's records",
    "properties": {
      "field": {"type": "string", "default": "", "pattern": "^(/.*)?$",
                "description": "JSON Pointer to the number in the value; empty: the value itself"},
      "emit": {"type": "string", "enum": ["every", "final"], "default": "every",
               "description": "every: after each record; final: one record per key when the input has ended"}
    },
    "additionalProperties": false,
    "x-weir-final": {"properties": {"emit": {"const": "final"}}, "required": ["emit"]}
  })";

  explicit Sum(const Config& config) : field_(config.get<std::string>("/field", "")), emission_(emission_of(config)) {}
  void process(const RecordView& in, Context& out) override;
  void merge(const PartialView& partial, Context& out) override;
  void finish(Context& out) override;

 private:
  Pointer field_;
  Emission emission_;
};

}  // namespace weir::keyed
