// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/journal/journal.h"

namespace weir::journal {

/// What can be read of a journal, also of one that a start refuses: its entries by sequence and by place, and its
/// checkpoint files, newest first. Only entries that belong to the history are here: of the reigns and segments that
/// lead to the newest in force, and nothing from where a later reign, whose segments are lost, went on.
/// Memory: a few words an entry. Thread: one. Lifetime: the disk must outlive it.
class Archive {
 public:
  struct Entry {
    Sequence sequence;
    Position position;
    EntryKind kind = EntryKind::kRecord;
    std::uint32_t bytes = 0;  ///< of the payload
  };
  /// Entries [first, end) cannot be read.
  struct Gap {
    Sequence first;
    Sequence end;
    Position position;  ///< where the first of them should stand
    std::string file;
  };

  /// `segment_bytes`: where every header is lost. Errors: kIo; kCorrupt where no part of a history can be found;
  /// kRefused for a format of a newer Weir.
  static Result<Archive> open(Disk& disk, std::uint64_t segment_bytes);

  [[nodiscard]] const Entry* find(Sequence sequence) const;
  [[nodiscard]] const Entry* find(Position position) const;
  /// The entry's payload, verified again. Errors: kCorrupt, kIo.
  [[nodiscard]] Result<Bytes> read(const Entry& entry) const;

  [[nodiscard]] const std::vector<CheckpointRef>& checkpoints() const { return checkpoints_; }
  [[nodiscard]] const std::vector<Gap>& gaps() const { return gaps_; }
  /// Segments whose headers were made up from what stands behind them, a sentence each.
  [[nodiscard]] const std::vector<std::string>& rebuilt() const { return rebuilt_; }
  [[nodiscard]] std::uint64_t seed() const { return history_.seed; }
  [[nodiscard]] std::uint64_t segment_bytes() const { return segment_bytes_; }
  [[nodiscard]] Reign reign_next() const { return history_.reign_next; }
  /// Behind the last entry that is known to have been written, be it by a mark only.
  [[nodiscard]] Sequence end_known() const { return end_known_; }
  /// Why a start is refused, if it is.
  [[nodiscard]] const std::optional<Error>& refusal() const { return refusal_; }

 private:
  Status rebuild_headers();
  /// Behind the last entry of a file, as `header` makes it read.
  Result<Sequence> end_of(std::size_t index, const SegmentHeader& header);
  void take_rebuilt(std::size_t index, const SegmentHeader& header);
  Result<std::optional<std::size_t>> before(const SegmentHeader& header);
  Status walk(std::size_t index, Sequence stop);
  Status limit_to_lost_reigns();
  Status find_checkpoints(Disk& disk);

  std::string directory_;
  std::vector<SegmentFile> files_;
  std::map<std::size_t, SegmentHeader> candidates_;  ///< headers made up, by file; number 0 while it is not known
  History history_;
  std::optional<Error> refusal_;
  std::uint64_t segment_bytes_ = 0;
  Sequence limit_{UINT64_MAX};  ///< entries from here on may be of a history that was superseded
  Sequence end_known_;
  std::map<std::uint64_t, std::size_t> segments_;  ///< number to file
  std::map<Sequence, Entry> entries_;
  std::map<Position, Sequence> by_position_;
  std::vector<Gap> gaps_;
  std::vector<std::string> rebuilt_;
  std::vector<CheckpointRef> checkpoints_;
};

}  // namespace weir::journal
