// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>

#include "broker/journal/disk.h"

namespace weir::journal {

/// Room on the disk that is kept for what frees segments in its turn, a checkpoint or a snapshot: a file without
/// meaning, which is removed when the disk is full and one of them must be written. Thread: [any thread].
class Reserve {
 public:
  Reserve(Disk& disk, std::uint64_t bytes) : disk_(disk), bytes_(bytes) {}

  /// Makes the file, where it is not there. Leaves as much again free, since what it was given up for may be about to
  /// be written. Slow. Errors: kDiskFull, kIo.
  Status fill(const Disk::Pieces& pieces);

  /// Removes the file. False where there was none. Errors: kIo.
  Result<bool> give_up();

 private:
  Disk& disk_;
  const std::uint64_t bytes_;
  std::mutex mutex_;  // held while the file is made or removed
  bool filled_ = false;
};

}  // namespace weir::journal
