// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "stages/file/csv.h"
#include "stages/file/output_file.h"
#include "weir/sink.h"

namespace weir::file {

/// file.write: a line per record, exactly once across crashes: what a commit holds is the file's length, and whoever
/// goes on cuts the file back to it. A fresh run replaces the file; one that is shorter than committed, or gone, ends
/// the worker. Where `path` has "{shard}" in it, each shard of the input has a file of its own.
class Write final : public Sink {
 public:
  static constexpr std::string_view kSchema = R"({
    "type": "object",
    "description": "Writes records to a file, as JSON lines or CSV",
    "properties": {
      "path": {"type": "string", "format": "path", "minLength": 1,
               "description": "the file; with {shard} in it one for each shard"},
      "format": {"type": "string", "enum": ["jsonl", "csv"], "description": "default: by the extension, .csv or other"},
      "columns": {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string", "pattern": "^/"},
                  "description": "CSV: JSON Pointers into {key, value, timestamp} by column; default: those three"}
    },
    "required": ["path"],
    "additionalProperties": false,
    "x-weir-sharing-shard": {"description": "write {shard} into path: each shard then has a file of its own",
                             "properties": {"path": {"pattern": "\\{shard\\}"}}, "required": ["path"]}
  })";

  explicit Write(const Config& config);
  void open(const Target& target) override;
  void write(const RecordView& in) override;
  void flush() override;
  void close(std::uint32_t shard) override;

 private:
  /// A line of the record; says how many sequences of bytes it had to replace.
  std::uint64_t append(std::string& to, const RecordView& in);
  OutputFile& file(std::uint32_t shard);

  std::string path_;
  std::optional<Csv> csv_;  ///< none: JSON lines
  std::map<std::uint32_t, OutputFile> files_;
};

}  // namespace weir::file
