// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>

#include "broker/journal/disk.h"

namespace weir::journal {

/// Keeps a large file that is written beside the journal from holding up commits: it is synced piece by piece, since a
/// file system that orders its writes would make the next sync of the journal wait for all that is not out yet, and
/// after each piece the disk is the journal's for as long as that sync took. Thread: one, which may wait.
class Pace {
 public:
  /// So many bytes of `file` were written. Errors: those of File::sync().
  Status wrote(File& file, std::uint64_t bytes) {
    unsynced_ += bytes;
    if (unsynced_ < kPieceBytes) return {};
    unsynced_ = 0;
    const auto begun = std::chrono::steady_clock::now();
    Status synced = file.sync();
    const auto took = std::chrono::steady_clock::now() - begun;
    if (synced.ok()) std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(took, kPauseMax));
    return synced;
  }

  static constexpr std::uint64_t kPieceBytes = 4 << 20;

 private:
  static constexpr std::chrono::milliseconds kPauseMax{100};

  std::uint64_t unsynced_ = 0;
};

}  // namespace weir::journal
