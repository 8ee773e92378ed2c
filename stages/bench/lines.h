// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "weir/source.h"

namespace weir::bench {

/// bench.lines: the lines of one file, read into memory first, so that reading files is not what is measured.
class Lines final : public Source {
 public:
  static constexpr std::string_view kSchema = R"({
    "type": "object",
    "description": "The lines of weir bench",
    "properties": {
      "path": {"type": "string", "format": "path", "description": "the file; each of its lines ends in a newline"},
      "started": {"type": "string", "format": "path", "description": "the file that tells when it began"}
    },
    "required": ["path", "started"],
    "additionalProperties": false
  })";

  explicit Lines(const Config& config);
  void splits(SplitList& list) override;
  Progress read(Split& split, Context& out) override;

 private:
  std::string path_;
  std::string started_;
  std::string text_;
};

}  // namespace weir::bench
