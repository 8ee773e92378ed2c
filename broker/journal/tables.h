// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "broker/journal/segment.h"

namespace weir::journal {

/// The decisions of recovery as tables over evidence; nothing here reads a file. FORMAT.md, "Recovery", says why each
/// row stands where it does; a test shows that every combination meets a row and every row is met.

/// What is known of one file once the highest reign in force (R) and the end of its newest segment are known.
struct FileEvidence {
  HeaderState header = HeaderState::kBlank;
  bool opening = false;         ///< header written by a start, not by a roll-over
  bool own_group = false;       ///< an opening mark or a group of the header's reign lies behind the header
  bool needed = false;          ///< the history that was read runs through it
  bool reign_above = false;     ///< holds a group of a reign above R
  bool mark_above_end = false;  ///< holds a mark above the end
  bool cut_short = false;       ///< ends where no file that may count ever does
};

enum class FileVerdict {
  kInForce,      ///< part of the history
  kStale,        ///< of a history that was superseded, or of a segment nobody needs: free
  kFailedStart,  ///< a start that never served: free, but its reign's number is used
  kSpare,        ///< never used: free
  kUnreadable,   ///< never synced, or damage to what only the last sync covered: free, taken last
  kLostReign,    ///< corruption: a reign served and its opening is gone
  kLostEntries,  ///< corruption: what was durable cannot be read
  kCutShort,     ///< corruption: what stood behind the file's end may have been durable
};

/// The block at which the newest segment's run ends.
enum class EndBlock {
  kZero,        ///< never written, or wiped by the mark before it
  kStale,       ///< a whole group that is not next in line: left from the file's earlier use
  kUnreadable,  ///< anything else
  kInsideCopy,  ///< whatever it is, it lies in what a start had copied and synced
};

struct TailEvidence {
  EndBlock block = EndBlock::kZero;
  bool groups_behind = false;   ///< whole groups of R at or behind the end, not before it in sequence
  bool mark_above_end = false;  ///< some mark, anywhere, says that more was durable
};

enum class TailVerdict {
  kClean,           ///< nothing to cut
  kTorn,            ///< cut at the end
  kTornWithGroups,  ///< cut at the end, with the groups behind it
  kCorrupt,
};

/// What one of the two checkpoints that the newest segment names turned out to be.
enum class CheckpointState {
  kNone,    ///< none is named
  kWhole,   ///< length and CRC are those that it is named with
  kBroken,  ///< missing, of another length, or damaged
};

struct CheckpointEvidence {
  CheckpointState newest = CheckpointState::kNone;
  CheckpointState before = CheckpointState::kNone;
  bool above_end = false;  ///< a file of one, named or not, says that more was durable than can be read
};

enum class CheckpointVerdict {
  kNewest,
  kBefore,       ///< what is wrong with the newest is reported
  kBeginning,    ///< the journal is read from its first segment, all of which must be there
  kCorrupt,      ///< segments before the older one are gone: there is nothing to start from
  kLostEntries,  ///< corruption: a checkpoint holds only what was durable
};

/// What is known of the segment before one that the history runs through.
struct SegmentEvidence {
  bool replayed = false;  ///< holds entries behind the checkpoint that is used
  bool needed = false;    ///< that checkpoint still reads from it
  bool kept = false;      ///< one of the checkpoints that may come to count does, or begins in it
  bool found = false;     ///< its file, by number and reign
  bool whole = false;     ///< looked at where it is replayed: every entry up to its successor's first
};

enum class SegmentVerdict {
  kEnough,   ///< the history begins behind it
  kTake,     ///< part of the history; go on with the one before it
  kMissing,  ///< corruption
  kDamaged,  ///< corruption
};

template <typename Verdict>
struct TableRow {
  std::string_view what;
  bool (*fits)(const void* evidence);
  Verdict verdict;
};

/// The rows in order; the first that fits decides.
std::span<const TableRow<FileVerdict>> file_table();
std::span<const TableRow<TailVerdict>> tail_table();
std::span<const TableRow<CheckpointVerdict>> checkpoint_table();
std::span<const TableRow<SegmentVerdict>> segment_table();

FileVerdict judge(const FileEvidence& evidence);
TailVerdict judge(const TailEvidence& evidence);
CheckpointVerdict judge(const CheckpointEvidence& evidence);
SegmentVerdict judge(const SegmentEvidence& evidence);

}  // namespace weir::journal
