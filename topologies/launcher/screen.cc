// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/screen.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "topologies/launcher/printable.h"

namespace weir::launcher {
namespace {

constexpr std::string_view kEraseLine = "\r\x1b[K";
/// A pipe that says it is writable takes this much (PIPE_BUF) without blocking.
constexpr std::size_t kChunkBytes = 4096;

}  // namespace

void Screen::line(std::string_view text) {
  if (queue_.size() + text.size() > kWaitingBytesMax) {
    ++dropped_;
    return;
  }
  if (!shown_.empty()) queue_ += kEraseLine;
  queue_ += printable(text);
  queue_ += '\n';
  queue_ += shown_;
}

void Screen::show(std::string_view text) {
  if (!live_ || queue_.size() > kChunkBytes) return;
  winsize size{};
  const std::size_t columns = ::ioctl(fd_, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1U : 79U;
  shown_ = text.substr(0, columns);
  queue_ += kEraseLine;
  queue_ += shown_;
}

void Screen::write_some() {
  while (!queue_.empty()) {
    pollfd ready{fd_, POLLOUT, 0};
    if (::poll(&ready, 1, 0) <= 0) return;
    const ssize_t wrote = ::write(fd_, queue_.data(), std::min(queue_.size(), kChunkBytes));
    if (wrote < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (wrote < 0) {  // nobody reads any more: there is no one left to tell
      queue_.clear();
      return;
    }
    queue_.erase(0, static_cast<std::size_t>(wrote));
    if (dropped_ != 0 && queue_.empty()) {
      const std::uint64_t dropped = std::exchange(dropped_, 0);
      line(fmt::format("weir: {} lines were dropped here, since standard error was not read", dropped));
    }
  }
}

void Screen::close(Monotonic patience) {
  if (!shown_.empty()) queue_ += kEraseLine;
  shown_.clear();
  const Monotonic deadline = monotonic_now() + patience;
  while (!queue_.empty()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - monotonic_now());
    if (left.count() <= 0) return;
    pollfd ready{fd_, POLLOUT, 0};
    ::poll(&ready, 1, static_cast<int>(left.count()));
    write_some();
  }
}

}  // namespace weir::launcher
