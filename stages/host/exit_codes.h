// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace weir::host {

/// How a worker's process ends; the launcher tells them apart. Those marked * count against it.
enum class Exit : int {
  kStopped = 0,    ///< told to
  kRefused = 1,    ///< * the broker does not take it, or its library cannot be used
  kUsage = 2,      ///< *
  kFailed = 65,    ///< * the stage gave up, with a sentence
  kFenced = 66,    ///< lost its rights: a successor may be at work
  kLost = 67,      ///< lost the broker, or a message from it
  kDeadline = 68,  ///< * what it was at took longer than the `deadline` of its stage
};

}  // namespace weir::host
