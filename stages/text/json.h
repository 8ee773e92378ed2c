// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "weir/json_reader.h"
#include "weir/stage.h"

namespace weir::text {

/// text.json: the value, a string or binary, is read as one JSON text and becomes what it says. The key stays. What is
/// no JSON is an error of the record.
class Json final : public Stage {
 public:
  static constexpr bool kKeyed = false;
  static constexpr bool kKeyPreserving = true;
  static constexpr std::string_view kSchema = R"({
    "type": "object",
    "description": "Reads the value, a string, as JSON",
    "additionalProperties": false
  })";

  void process(const RecordView& in, Context& out) override;

 private:
  JsonReader reader_;
  std::string value_;
};

}  // namespace weir::text
