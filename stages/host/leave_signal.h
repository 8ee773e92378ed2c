// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace weir::host {

/// SIGTERM to a worker, or Ctrl-C where a person has started it: it is to go, and the topology goes on. The first is
/// remembered here, a second one ends the process at once. Thread: any.
class LeaveSignal {
 public:
  /// From here on the first is remembered; before, it ends the process. `interrupt`: SIGINT means the same.
  static void heed(bool interrupt);
  [[nodiscard]] static bool came();
  /// This thread's system calls are not interrupted by it.
  static void leave_to_others();
};

}  // namespace weir::host
