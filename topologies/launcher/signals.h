// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "topologies/launcher/fd.h"

namespace weir::launcher {

/// Signals as something to poll. Blocks SIGINT, SIGTERM, SIGCHLD, and SIGHUP unless it is ignored (nohup), for this
/// process; ChildProcess unblocks them for its children. REQUIRES: one thread in this process.
class Signals {
 public:
  Signals();

  [[nodiscard]] int fd() const { return fd_.get(); }
  /// The next signal that arrived, or 0.
  int next();

 private:
  Fd fd_;
};

}  // namespace weir::launcher
