// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/line_reader.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace weir::launcher {

void LineReader::read(const Take& take, std::size_t bytes_max) {
  std::array<char, 16384> buffer;
  for (std::size_t got_bytes = 0; fd_ && got_bytes < bytes_max;) {
    const ssize_t got = ::read(fd_.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      if (!rest_.empty()) take(rest_);
      rest_.clear();
      fd_.reset();
      return;
    }
    got_bytes += static_cast<std::size_t>(got);
    rest_.append(buffer.data(), static_cast<std::size_t>(got));
    cut(take);
  }
}

void LineReader::finish(const Take& take) {
  if (!fd_) return;
  read(take, 1 << 20);
  if (!rest_.empty()) take(rest_);
  rest_.clear();
  fd_.reset();
}

void LineReader::cut(const Take& take) {
  std::size_t start = 0;
  while (start < rest_.size()) {
    const std::size_t end = rest_.find('\n', std::max(start, scanned_));
    if (end == std::string::npos) {
      if (rest_.size() - start < line_bytes_max_) break;
      take(std::string_view(rest_).substr(start, line_bytes_max_));
      start += line_bytes_max_;
      continue;
    }
    for (std::string_view line = std::string_view(rest_).substr(start, end - start);;) {
      take(line.substr(0, line_bytes_max_));
      if (line.size() <= line_bytes_max_) break;
      line.remove_prefix(line_bytes_max_);
    }
    start = end + 1;
  }
  rest_.erase(0, start);
  scanned_ = rest_.size();
}

}  // namespace weir::launcher
