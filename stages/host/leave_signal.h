// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace weir::host {

/// SIGTERM to a worker: it is to go, and the topology goes on. The first is remembered here, a second one ends the
/// process at once. Thread: any.
class LeaveSignal {
 public:
  /// From here on the first SIGTERM is remembered; before, it ends the process.
  static void heed();
  [[nodiscard]] static bool came();
  /// This thread's system calls are not interrupted by it.
  static void leave_to_others();
};

}  // namespace weir::host
