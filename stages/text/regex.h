// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <re2/re2.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "weir/stage.h"

namespace weir::text {

/// text.regex: finds the pattern in the value, a string, and emits a map of its named groups; a group that took no part
/// is "". The key stays. No match is an error of the record. The pattern may match anywhere: ^ and $ bind it.
class Regex final : public Stage {
 public:
  static constexpr bool kKeyed = false;
  static constexpr bool kKeyPreserving = true;
  static constexpr std::string_view kSchema = R"({
    "type": "object",
    "description": "Takes the value, a string, apart: the new value is a map of the pattern's named groups",
    "properties": {
      "pattern": {"type": "string", "minLength": 1,
                  "description": "a regular expression of RE2 with named groups: (?P<name>...); ^ and $ bind it to the ends"}
    },
    "required": ["pattern"],
    "additionalProperties": false
  })";

  explicit Regex(const Config& config);
  void process(const RecordView& in, Context& out) override;

 private:
  struct Group {
    std::string name;
    int number = 0;
  };

  std::unique_ptr<re2::RE2> pattern_;
  std::vector<Group> groups_;  ///< in the order of the pattern
  std::vector<re2::StringPiece> found_;
  std::string map_;
};

}  // namespace weir::text
