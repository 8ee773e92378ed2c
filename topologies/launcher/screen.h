// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "sdk/base/clock.h"

namespace weir::launcher {

/// Standard error as `weir run` uses it: whole lines and, on a terminal, one live line below them. Writing never blocks
/// the supervision: lines wait in a bounded queue, and what does not fit is counted and said so.
class Screen {
 public:
  static constexpr std::size_t kWaitingBytesMax = 1 << 20;

  /// `live`: the descriptor is a terminal that shows the live line. Borrows `fd`.
  Screen(int fd, bool live) : fd_(fd), live_(live) {}

  void line(std::string_view text);
  /// Replaces the live line; nothing happens where there is none.
  void show(std::string_view text);
  [[nodiscard]] bool live() const { return live_; }
  [[nodiscard]] bool waiting() const { return !queue_.empty(); }
  /// Writes as much as is possible without waiting.
  void write_some();
  /// Takes the live line away and writes all that waits, for at most `patience`.
  void close(Monotonic patience);

 private:
  int fd_;
  bool live_;
  std::string shown_;
  std::string queue_;
  std::uint64_t dropped_ = 0;
};

}  // namespace weir::launcher
