// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>

#include "stages/select/condition.h"
#include "weir/stage.h"

namespace weir::select {

/// filter: passes the records of which a condition holds, unchanged. Numbers compare with numbers by their value,
/// strings with strings by their bytes; values of different kinds are unequal and in no order, and so is a field that
/// is missing: of it only `!=`, `not` and `exists` with false hold.
class Filter final : public Stage {
 public:
  static constexpr bool kKeyed = false;
  static constexpr bool kKeyPreserving = true;
  static constexpr std::string_view kSchema = R"({
    "type": "object",
    "description": "Passes the records of which a condition holds",
    "properties": {"where": {"$ref": "#/definitions/condition"}},
    "required": ["where"],
    "additionalProperties": false,
    "definitions": {
      "condition": {
        "oneOf": [
          {"type": "object",
           "properties": {"field": {"type": "string", "pattern": "^(/.*)?$"},
                          "op": {"type": "string", "enum": ["==", "!=", "<", "<=", ">", ">="]},
                          "value": {}},
           "required": ["field", "op", "value"], "additionalProperties": false},
          {"type": "object",
           "properties": {"field": {"type": "string", "pattern": "^(/.*)?$"},
                          "op": {"type": "string", "const": "exists"},
                          "value": {"type": "boolean", "default": true}},
           "required": ["field", "op"], "additionalProperties": false},
          {"type": "object",
           "properties": {"field": {"type": "string", "pattern": "^(/.*)?$"},
                          "op": {"type": "string", "const": "matches"},
                          "value": {"type": "string", "description": "an RE2 pattern that matches somewhere in the field"}},
           "required": ["field", "op", "value"], "additionalProperties": false},
          {"type": "object",
           "properties": {"all": {"type": "array", "items": {"$ref": "#/definitions/condition"}}},
           "required": ["all"], "additionalProperties": false},
          {"type": "object",
           "properties": {"any": {"type": "array", "items": {"$ref": "#/definitions/condition"}}},
           "required": ["any"], "additionalProperties": false},
          {"type": "object",
           "properties": {"not": {"$ref": "#/definitions/condition"}},
           "required": ["not"], "additionalProperties": false}
        ]
      }
    }
  })";

  explicit Filter(const Config& config) : condition_(Condition::read(config, "/where")) {}
  void process(const RecordView& in, Context& out) override {
    if (condition_->holds(in.value())) out.emit(in.key(), in.value());
  }

 private:
  std::unique_ptr<Condition> condition_;
};

}  // namespace weir::select
