// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "sdk/base/result.h"
#include "topologies/bench/measurement.h"

namespace weir::bench {

/// Processes of a baseline: each runs one function and ends. They die with this one; those that still run when this is
/// destroyed are killed. REQUIRES: one thread in this process.
class Forked {
 public:
  Forked() = default;
  Forked(const Forked&) = delete;
  Forked& operator=(const Forked&) = delete;
  ~Forked();

  /// `work` returns true if all went well. Errors: kIo.
  Status start(std::string name, const std::function<bool()>& work);
  /// Waits for all. What each used, in the order of their start. Errors: kIo where one failed.
  Result<std::vector<ProcessUse>> wait();

 private:
  struct Process {
    std::string name;
    pid_t pid;
  };
  std::vector<Process> running_;
};

}  // namespace weir::bench
