// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "broker/journal/disk.h"

namespace weir::journal {

/// The free segment files: spares written full, and segments that nobody needs any more.
/// Thread: [any thread]. `free_mutex_` guards the lists and is never held over input or output; `work_mutex_` is held
/// while a spare is made, so that two threads do not make the same one.
/// A file given back stays open: a reader that still looks at it reads other bytes, which no CRC lets pass.
class SegmentPool {
 public:
  SegmentPool(Disk& disk, std::uint64_t segment_bytes, std::uint64_t file_number_next)
      : disk_(disk), segment_bytes_(segment_bytes), file_number_next_(file_number_next) {}

  void give(std::unique_ptr<File> file);

  /// Files that are written full, so that writing them cannot fill the disk.
  [[nodiscard]] std::size_t ready() const;

  /// A file that is written full. The last one is never taken: a start needs one. REQUIRES: ready() >= 2.
  std::unique_ptr<File> take();

  /// Who waits for what is prepared: nobody yet, so that the disk is left to the journal for as long as each small
  /// piece took, or somebody, who has it done at once, also what another thread has begun.
  enum class Haste : std::uint8_t { kNone, kAwaited };

  /// Brings ready() up to `target`: extends short files, then makes new ones. Slow. Errors: kDiskFull, kIo (a file that
  /// it was at is not used any more in this life).
  Status prepare(std::size_t target, Haste haste);

  /// The last prepare() found no room, and what is ready has not grown to its target since.
  [[nodiscard]] bool low() const;

  /// What is under way rests no more, and is the last. [any thread]
  void stop();

  /// The pieces in which a file is to be written full now, each a while after the one before unless somebody waits.
  /// What it gives belongs to one file, and to this pool.
  [[nodiscard]] Disk::Pieces pieces();

  [[nodiscard]] std::uint64_t created() const { return created_.load(); }
  [[nodiscard]] std::uint64_t recycled() const { return recycled_.load(); }
  [[nodiscard]] std::size_t files() const;
  [[nodiscard]] std::uint64_t bytes() const;

 private:
  Result<std::unique_ptr<File>> make();
  Status extend(File& file);
  /// Asked before anything is written, since what fails at its end has taken the room of others meanwhile.
  Status room_for(std::uint64_t bytes);

  class Awaited;
  [[nodiscard]] bool stopped();

  Disk& disk_;
  const std::uint64_t segment_bytes_;
  std::mutex haste_mutex_;
  std::condition_variable hurry_;
  int awaited_ = 0;  // by so many; under haste_mutex_, as stopped_
  bool stopped_ = false;
  std::mutex work_mutex_;
  std::uint64_t file_number_next_;  // under work_mutex_
  mutable std::mutex free_mutex_;
  std::vector<std::unique_ptr<File>> ready_;  // under free_mutex_, as all below
  std::vector<std::unique_ptr<File>> short_;
  std::vector<std::unique_ptr<File>> doubtful_;  // used no more in this life; a reader may still look at one
  std::size_t wanted_ = 0;                       // by a prepare() that found no room; 0: none did
  std::atomic<std::uint64_t> created_{0};
  std::atomic<std::uint64_t> recycled_{0};
};

}  // namespace weir::journal
