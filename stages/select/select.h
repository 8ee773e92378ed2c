// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "weir/pointer.h"
#include "weir/stage.h"

namespace weir::select {

/// select: the new value is a map of fields of the old one, in the order of the configuration; the key stays. A field
/// that is missing becomes nil, is left out, or makes the record an error, as `missing` says.
class Select final : public Stage {
 public:
  static constexpr bool kKeyed = false;
  static constexpr bool kKeyPreserving = true;
  static constexpr std::string_view kSchema = R"({
    "type": "object",
    "description": "Makes the value a map of some of its fields",
    "properties": {
      "fields": {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string", "pattern": "^(/.*)?$"},
                 "description": "JSON Pointers into the value, by the new field's name"},
      "missing": {"type": "string", "enum": ["null", "skip", "error"], "default": "null",
                  "description": "a field that is missing: becomes null, is left out, or makes the record an error"}
    },
    "required": ["fields"],
    "additionalProperties": false
  })";

  explicit Select(const Config& config);
  void process(const RecordView& in, Context& out) override;

 private:
  enum class Missing { kNull, kSkip, kError };
  struct Field {
    std::string name;  ///< MessagePack
    Pointer pointer;
  };

  std::vector<Field> fields_;
  Missing missing_;
  std::vector<std::pair<const Field*, ValueView>> found_;
  std::string map_;
};

}  // namespace weir::select
