// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <vector>

#include "stages/file/line_cursor.h"
#include "weir/source.h"

namespace weir::file {

/// file.lines: a record per line of the files that globs name. Each file is a split; its position is the byte behind
/// the last line that counts, the file's inode, and the last timestamp given out, so that time does not go back.
///
/// With `follow` a file is read on as it grows, over rotation (renamed, a new file under the name: the old one is read
/// until it has been quiet for a second, also when both happened while nobody read, as long as it lies in the same
/// folder) and over
/// truncation (read again from its start). A gzip file does not grow and ends even then. A line longer than
/// `line_bytes_max` is dropped, counted (cause line_too_long) and logged once a file.
class Lines final : public Source {
 public:
  static constexpr bool kLocal = true;
  static constexpr bool kDeterministic = false;  // the time of reading is in the records
  static constexpr std::string_view kSchema = R"({
    "type": "object",
    "description": "Reads files: a record per line, key nil, value the line as a string",
    "properties": {
      "path": {"description": "glob, or list of globs; each file they give is read, in sorted order",
               "anyOf": [{"type": "string", "format": "path", "minLength": 1},
                         {"type": "array", "minItems": 1,
                          "items": {"type": "string", "format": "path", "minLength": 1}}]},
      "follow": {"type": "boolean", "default": false, "description": "read on as the files grow, like tail -F"},
      "line_bytes_max": {"type": "string", "default": "1MiB", "pattern": "^[0-9.]+(B|KiB|MiB|GiB)$",
                         "description": "a longer line is dropped and counted"}
    },
    "required": ["path"],
    "additionalProperties": false,
    "x-weir-endless": {"properties": {"follow": {"const": true}}, "required": ["follow"]}
  })";

  explicit Lines(const Config& config);
  void splits(SplitList& list) override;
  Progress read(Split& split, Context& out) override;

 private:
  /// A file that is being read.
  struct Open {
    std::string path;  ///< the split's id; after a rotation the cursor may be on a file of another name
    LineCursor cursor;
    Timestamp latest = 0;
    Timestamp moved = 0;  ///< what its position says of time
    bool said_too_long = false;
  };

  Open& open(const Split& split, Context& out);
  LineCursor resume(const std::string& path, std::uint64_t inode, LinePosition position, Context& out) const;
  void emit(Open& file, LineCursor::Found found, std::string_view line, Context& out);
  Progress at_end(Open& file, Context& out);

  std::vector<std::string> globs_;
  bool follow_;
  std::size_t line_bytes_max_;
  std::list<Open> open_;  ///< the most recently read first; few, so that buffers stay bounded
};

}  // namespace weir::file
