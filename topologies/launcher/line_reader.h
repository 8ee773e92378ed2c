// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "topologies/launcher/fd.h"

namespace weir::launcher {

/// Cuts what comes out of a descriptor that does not block into lines. A line longer than kLineBytesMax comes in
/// pieces; nothing else is held.
class LineReader {
 public:
  static constexpr std::size_t kLineBytesMax = 8192;
  using Take = std::function<void(std::string_view line)>;

  LineReader() = default;
  explicit LineReader(Fd fd, std::size_t line_bytes_max = kLineBytesMax)
      : fd_(std::move(fd)), line_bytes_max_(line_bytes_max) {}

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool open() const { return static_cast<bool>(fd_); }
  /// Reads what is there, at most `bytes_max`, so that one child that prints all the time does not keep us. At the end
  /// of the file it hands out what is left and closes.
  void read(const Take& take, std::size_t bytes_max = 256UL * 1024);
  /// Reads what is left of a writer that is gone, hands out the last line even if it lacks its end, and closes.
  void finish(const Take& take);

 private:
  void cut(const Take& take);

  Fd fd_;
  std::size_t line_bytes_max_ = kLineBytesMax;
  std::string rest_;
  std::size_t scanned_ = 0;  ///< bytes of it that are known to hold no end of a line
};

}  // namespace weir::launcher
