// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <re2/re2.h>

#include <memory>
#include <string>
#include <string_view>

#include "weir/stage.h"

namespace weir::text {

/// text.words: a record per word of the value, key the word, value 1. What is a word says a regular expression; without
/// one a word is a run of ASCII letters, found without RE2.
class Words final : public Stage {
 public:
  static constexpr bool kKeyed = false;
  static constexpr std::string_view kSchema = R"({
    "type": "object",
    "description": "Cuts the value, a string, into words: a record per word, key the word, value 1",
    "properties": {
      "pattern": {"type": "string", "minLength": 1, "default": "[A-Za-z]+",
                  "description": "what is a word: a regular expression of RE2"},
      "lowercase": {"type": "boolean", "default": true, "description": "whether A-Z become a-z"}
    },
    "additionalProperties": false
  })";

  explicit Words(const Config& config);
  void process(const RecordView& in, Context& out) override;

 private:
  void emit(std::string_view word, Context& out);

  std::unique_ptr<re2::RE2> pattern_;  ///< null: runs of ASCII letters
  bool lowercase_;
  std::string lowered_;
};

}  // namespace weir::text
