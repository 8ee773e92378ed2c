// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace weir::host {

/// How a worker's process ends; the launcher tells them apart. Only kFailed and kRefused are the worker's own doing.
enum class Exit : int {
  kStopped = 0,  ///< told to
  kRefused = 1,  ///< the broker does not take it, or its library cannot be used
  kUsage = 2,
  kFailed = 65,  ///< the stage gave up, with a sentence
  kFenced = 66,  ///< lost its rights: a successor may be at work
  kLost = 67,    ///< lost the broker, or a message from it
};

}  // namespace weir::host
