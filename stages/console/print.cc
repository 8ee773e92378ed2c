// SPDX-License-Identifier: Apache-2.0
#include "stages/console/print.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <system_error>

#include "weir/json.h"

namespace weir::console {
namespace {

/// Keeps a closed pipe from killing the process: SIGPIPE is blocked for the thread, and one that came meanwhile is
/// taken.
class NoBrokenPipe {
 public:
  NoBrokenPipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  NoBrokenPipe(const NoBrokenPipe&) = delete;
  NoBrokenPipe& operator=(const NoBrokenPipe&) = delete;
  ~NoBrokenPipe() {
    if (sigismember(&before_, SIGPIPE) == 0) {
      const timespec no_time{};
      sigtimedwait(&pipe_, nullptr, &no_time);
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t pipe_{};
  sigset_t before_{};
};

void write_all(std::string_view left) {
  const NoBrokenPipe no_broken_pipe;
  while (!left.empty()) {
    const ssize_t put = ::write(STDOUT_FILENO, left.data(), left.size());
    if (put >= 0) {
      left.remove_prefix(static_cast<std::size_t>(put));
    } else if (errno == EAGAIN) {
      pollfd room{STDOUT_FILENO, POLLOUT, 0};
      ::poll(&room, 1, -1);
    } else if (errno != EINTR) {
      throw Fatal("cannot print: " + std::generic_category().message(errno));
    }
  }
}

}  // namespace

void Print::write(const RecordView& in) {
  const std::size_t start = lines_.size();
  try {
    JsonWriter writer(lines_);
    if (!writer.record(in.key_bytes(), in.value_bytes(), in.timestamp())) {
      throw DecodeError("the record is no MessagePack, or nested too deeply");
    }
    lines_.push_back('\n');
    if (writer.replaced() > 0) context().count("utf8");
  } catch (...) {
    lines_.resize(start);  // no part of a line stays of what failed
    throw;
  }
}

void Print::flush() {
  write_all(lines_);
  lines_.clear();
}

}  // namespace weir::console
