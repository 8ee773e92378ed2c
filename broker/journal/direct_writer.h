// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>

#include "broker/journal/huge_page.h"
#include "sdk/base/bytes.h"

namespace weir::journal {

/// Writes files past the page cache (O_DIRECT). What is written is copied into one huge page, which stays in the
/// processor's cache, and the disk fetches it from there; the page cache's own pages are cold as a rule, and to copy
/// into them takes several times as long. Such a write needs a descriptor of its own, since reads are of any place and
/// length; of the file written last it is kept. Thread: [any thread], one waits for the other.
class DirectWriter {
 public:
  /// What offsets and lengths must be multiples of: the largest block that disks commonly have.
  static constexpr std::size_t kAlignment = 4096;

  DirectWriter() = default;
  ~DirectWriter();
  DirectWriter(const DirectWriter&) = delete;
  DirectWriter& operator=(const DirectWriter&) = delete;

  /// What became of a write.
  struct Outcome {
    std::uint64_t bytes = 0;  ///< so many were written before it ended
    int error = 0;            ///< errno; 0: none
  };
  /// Writes `parts`, one behind the other, at `offset` of the file behind `descriptor`. Nothing where that file system
  /// has no such way, or copies all the same, or there is no memory or descriptor left for it: then what lies there is
  /// as unknown as during a write, and it is to be written as usual.
  /// REQUIRES: offset and the sum of sizes are multiples of kAlignment; no other write to that place is under way.
  std::optional<Outcome> write(int descriptor, std::uint64_t offset, std::span<const BytesView> parts);

  /// `descriptor` is about to be closed: its number may soon be another file's. Waits for nobody who writes another
  /// file.
  void forget(int descriptor);

 private:
  bool open(int descriptor);
  void close();

  std::mutex mutex_;
  bool refused_ = false;     // the file system has no such way
  std::atomic<int> of_{-1};  // whose file is open as `direct_`
  int direct_ = -1;
  std::optional<HugePage> page_;  // made when it is needed
};

}  // namespace weir::journal
