// SPDX-License-Identifier: Apache-2.0
#include "stages/file/line_cursor.h"

#include <algorithm>
#include <cstring>

namespace weir::file {
namespace {

constexpr std::size_t kReadBytes = 256 << 10;

}  // namespace

LineCursor::LineCursor(InputFile file, LinePosition position, std::size_t line_bytes_max)
    : file_(std::move(file)), line_bytes_max_(line_bytes_max), skipping_(position.skipping), buffer_(kReadBytes) {
  file_.seek(position.offset);
}

LineCursor::Found LineCursor::next(std::string_view& line) {
  while (true) {
    const char* const from = buffer_.data() + scanned_;
    const auto* const newline = static_cast<const char*>(std::memchr(from, '\n', end_ - scanned_));
    if (newline != nullptr) {
      const std::size_t stop = static_cast<std::size_t>(newline - buffer_.data());
      line = {buffer_.data() + begin_, stop - begin_};
      begin_ = scanned_ = stop + 1;
      if (skipping_) {
        skipping_ = false;
        continue;
      }
      if (line.ends_with('\r')) line.remove_suffix(1);
      return line.size() <= line_bytes_max_ ? Found::kLine : Found::kTooLong;
    }
    scanned_ = end_;
    const bool too_long = !skipping_ && end_ - begin_ > line_bytes_max_ + 1;  // one for the \r of an end to come
    if (too_long) skipping_ = true;
    if (skipping_) begin_ = end_;
    if (too_long) return Found::kTooLong;
    if (!fill()) return Found::kNothing;
  }
}

LineCursor::Found LineCursor::rest(std::string_view& line) {
  if (begin_ == end_) return Found::kNothing;
  line = {buffer_.data() + begin_, end_ - begin_};
  begin_ = scanned_ = end_;
  return line.size() <= line_bytes_max_ ? Found::kLine : Found::kTooLong;
}

bool LineCursor::fill() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    scanned_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size()) buffer_.resize(std::min(buffer_.size() * 2, line_bytes_max_ + kReadBytes + 2));
  const std::size_t got = file_.read(buffer_.data() + end_, buffer_.size() - end_);
  end_ += got;
  return got > 0;
}

}  // namespace weir::file
