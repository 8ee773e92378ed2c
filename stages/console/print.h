// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "weir/sink.h"

namespace weir::console {

/// console.print: a JSON line per record on the standard output, which the launcher joins to that of `weir run`. What
/// is printed cannot be taken back: lines of a transaction that a crash cut short come again.
class Print final : public Sink {
 public:
  static constexpr std::string_view kSchema = R"({
    "type": "object",
    "description": "Prints records as JSON lines on the standard output of weir run",
    "properties": {"format": {"type": "string", "enum": ["jsonl"], "default": "jsonl"}},
    "additionalProperties": false
  })";

  void write(const RecordView& in) override;
  void flush() override;

 private:
  std::string lines_;
};

}  // namespace weir::console
