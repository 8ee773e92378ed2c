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

  Result<std::unique_ptr<Journal>> open(const JournalOptions& options, Recovery& out);
  Result<std::unique_ptr<Journal>> open_read_only(Recovery& out);

 private:
  Status read();
  Status prove_reign();
  Result<std::size_t> choose_fresh(const JournalOptions& options);
  Status copy_newest(File& to, const SegmentHeader& header);
  Status put_in_force(File& file, const SegmentHeader& header);
  Status remove_leftovers();
  [[nodiscard]] std::unique_ptr<Journal> make(const JournalOptions& options);
  void report(Recovery& out) const;

  Disk& disk_;
  std::vector<SegmentFile> files_;
  History history_;
  std::uint64_t bytes_read_ = 0;
};

}  // namespace weir::journal
