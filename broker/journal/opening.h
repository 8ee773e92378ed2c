// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "broker/journal/journal.h"

namespace weir::journal {

/// Steps 6 and 7 of recovery (FORMAT.md): from a history that was read to a reign that may serve. A crash or an error
/// anywhere in it leaves a file that no rule selects, and the next start begins anew: that is the idempotence.
class Opening {
 public:
  explicit Opening(Disk& disk) : disk_(disk) {}
  Opening(const Opening&) = delete;
  Opening& operator=(const Opening&) = delete;
  virtual ~Opening() = default;

  Result<std::unique_ptr<Journal>> open(const JournalOptions& options, Recovery& out);
  Result<std::unique_ptr<Journal>> open_read_only(Recovery& out);

 protected:
  /// Where a life of the broker writes on.
  struct Place {
    std::size_t file = 0;  ///< index
    SegmentHeader header;
    std::uint32_t offset = 0;
  };
  /// Steps 6 and 7: opens a reign behind the history that was read, durably. Virtual for tests, which show what becomes
  /// of a start that does without.
  virtual Result<Place> begin_reign(const JournalOptions& options);

  [[nodiscard]] const History& history() const { return history_; }
  [[nodiscard]] const SegmentHeader& header_of(std::size_t file) const { return files_[file].header; }

 private:
  Status read();
  /// Where the newest checkpoint is broken, none but the one that is used counts from this reign on: the next one is to
  /// have a whole one before it.
  void pass_over_broken_checkpoint();
  Status prove_reign();
  /// A file of `file_bytes` at least.
  Result<std::size_t> choose_fresh(const JournalOptions& options, std::uint64_t file_bytes);
  Status copy_newest(File& to, const SegmentHeader& header);
  Status put_in_force(File& file, const SegmentHeader& header);
  Status remove_leftovers();
  /// Files without a header's worth of bytes, which starts of format 1 may have left: behind this one they mean damage.
  Status remove_stubs();
  [[nodiscard]] std::unique_ptr<Journal> make(const JournalOptions& options);
  void report(Recovery& out) const;

  Disk& disk_;
  std::vector<SegmentFile> files_;
  History history_;
  std::uint64_t bytes_read_ = 0;
};

}  // namespace weir::journal
