// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "sdk/base/result.h"
#include "topologies/launcher/fd.h"

namespace weir::launcher {

/// How a process ended.
struct Ending {
  bool signalled = false;
  int number = 0;           ///< exit code, or signal
  bool for_memory = false;  ///< by the kernel's OOM killer

  /// "exit 3", "signal 9 (SIGKILL)".
  [[nodiscard]] std::string text() const;
};

/// A child in a process group of its own that does not outlive us: the kernel kills it when this process dies, however
/// it dies. Standard input is /dev/null. Destroying it kills the group and waits.
/// REQUIRES: one thread in this process, since the child runs our code between fork and exec.
class ChildProcess {
 public:
  struct Start {
    std::vector<std::string> argv;  ///< the program's path, then its arguments
    int stdout_fd = -1;             ///< becomes its standard output; -1: /dev/null
    int stderr_fd = -1;             ///< becomes its standard error; -1: /dev/null
    int kept_fd = -1;               ///< stays open in it under the same number; everything else is closed
  };
  /// Returns once the program runs. Errors: kNotFound, kIo, naming the program.
  static Result<ChildProcess> start(const Start& start);

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// How it ended; nothing while it runs. What is left of its group is killed with it. After an answer only
  /// destruction is permitted.
  std::optional<Ending> reap();
  /// Sends SIGKILL to the whole group.
  void kill_group() const;

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
};

/// A pipe whose reading end does not block; both ends close on exec. Errors: kIo.
struct Pipe {
  Fd read_end;
  Fd write_end;
};
Result<Pipe> open_pipe();

}  // namespace weir::launcher
