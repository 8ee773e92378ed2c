// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "stages/file/input_file.h"

namespace weir::file {

/// Where a file's reading stands, between two lines or within one that is too long.
struct LinePosition {
  std::uint64_t offset = 0;  ///< bytes from the file's start
  bool skipping = false;     ///< the line that offset lies in is too long: what is left of it is dropped
  friend bool operator==(const LinePosition&, const LinePosition&) = default;
};

/// Cuts a file into lines, in memory that the longest permitted line bounds.
class LineCursor {
 public:
  enum class Found {
    kLine,     ///< `line`, without its end
    kTooLong,  ///< a line was longer than permitted; it is dropped
    kNothing,  ///< no whole line is left at the moment
  };

  /// Begins at `position`. Errors of all calls: Fatal, naming the path.
  LineCursor(InputFile file, LinePosition position, std::size_t line_bytes_max);

  /// The next line; it holds until the next call.
  Found next(std::string_view& line);
  /// At the file's end: the last line where it lacks its newline.
  Found rest(std::string_view& line);

  /// Behind what next and rest gave.
  [[nodiscard]] LinePosition position() const { return {file_.offset() - (end_ - begin_), skipping_}; }
  [[nodiscard]] const InputFile& file() const { return file_; }

 private:
  bool fill();

  InputFile file_;
  std::size_t line_bytes_max_;
  bool skipping_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;    ///< of what was not given out yet
  std::size_t scanned_ = 0;  ///< no newline before it
  std::size_t end_ = 0;
};

}  // namespace weir::file
