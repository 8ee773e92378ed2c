// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/tables.h"

#include "sdk/base/check.h"

namespace weir::journal {
namespace {

const FileEvidence& file(const void* evidence) { return *static_cast<const FileEvidence*>(evidence); }
const TailEvidence& tail(const void* evidence) { return *static_cast<const TailEvidence*>(evidence); }
const CheckpointEvidence& checkpoint(const void* evidence) { return *static_cast<const CheckpointEvidence*>(evidence); }
const SegmentEvidence& segment(const void* evidence) { return *static_cast<const SegmentEvidence*>(evidence); }

constexpr TableRow<FileVerdict> kFileTable[] = {
    // Groups of a reign are written only after its opening was synced: the header that should be read is lost.
    {"a group of a reign above the highest in force", [](const void* e) { return file(e).reign_above; },
     FileVerdict::kLostReign},
    // A mark is written only after the sync that it speaks of: what it covers was durable.
    {"a mark above the end", [](const void* e) { return file(e).mark_above_end; }, FileVerdict::kLostEntries},
    // Files are synced longer than what is then written into them.
    {"cut short", [](const void* e) { return file(e).cut_short; }, FileVerdict::kCutShort},
    {"valid, roll-over or opened, and the history runs through it",
     [](const void* e) {
       return file(e).header == HeaderState::kValid && file(e).needed && (!file(e).opening || file(e).own_group);
     },
     FileVerdict::kInForce},
    {"valid, opening, no opening mark nor group of its own",
     [](const void* e) { return file(e).header == HeaderState::kValid && file(e).opening && !file(e).own_group; },
     FileVerdict::kFailedStart},
    {"valid, of a number below the oldest needed, or superseded by a higher reign",
     [](const void* e) { return file(e).header == HeaderState::kValid; }, FileVerdict::kStale},
    {"blank", [](const void* e) { return file(e).header == HeaderState::kBlank; }, FileVerdict::kSpare},
    {"unreadable, and nothing in it was durable",
     [](const void* e) { return file(e).header == HeaderState::kUnreadable; }, FileVerdict::kUnreadable},
};

constexpr TableRow<TailVerdict> kTailTable[] = {
    {"a mark above the end", [](const void* e) { return tail(e).mark_above_end; }, TailVerdict::kCorrupt},
    // The opening marks say that the copy is whole; they are gone too if this row is met.
    {"inside the copy of a reign in force", [](const void* e) { return tail(e).block == EndBlock::kInsideCopy; },
     TailVerdict::kCorrupt},
    // Writes between two syncs land in any order.
    {"groups of the reign behind", [](const void* e) { return tail(e).groups_behind; }, TailVerdict::kTornWithGroups},
    {"unreadable, nothing behind", [](const void* e) { return tail(e).block == EndBlock::kUnreadable; },
     TailVerdict::kTorn},
    {"zero, or left from the file's earlier use",
     [](const void* e) { return tail(e).block == EndBlock::kZero || tail(e).block == EndBlock::kStale; },
     TailVerdict::kClean},
};

constexpr TableRow<CheckpointVerdict> kCheckpointTable[] = {
    // A checkpoint is written of durable entries only, and gets its name when it is whole and synced.
    {"a checkpoint above the end", [](const void* e) { return checkpoint(e).above_end; },
     CheckpointVerdict::kLostEntries},
    {"the newest is whole", [](const void* e) { return checkpoint(e).newest == CheckpointState::kWhole; },
     CheckpointVerdict::kNewest},
    {"there is none yet", [](const void* e) { return checkpoint(e).newest == CheckpointState::kNone; },
     CheckpointVerdict::kBeginning},
    {"the one before is whole", [](const void* e) { return checkpoint(e).before == CheckpointState::kWhole; },
     CheckpointVerdict::kBefore},
    // Segments are recycled once there are two checkpoints.
    {"there was only one", [](const void* e) { return checkpoint(e).before == CheckpointState::kNone; },
     CheckpointVerdict::kBeginning},
    {"both are broken", [](const void* e) { return checkpoint(e).before == CheckpointState::kBroken; },
     CheckpointVerdict::kCorrupt},
};

constexpr TableRow<SegmentVerdict> kSegmentTable[] = {
    {"before all that is replayed, and no checkpoint reads from it",
     [](const void* e) { return !segment(e).replayed && !segment(e).needed && !segment(e).kept; },
     SegmentVerdict::kEnough},
    // It was recycled when the checkpoint that is used came into force; a power cut took back only the word of that.
    {"not found, and only a checkpoint that is not used reads from it",
     [](const void* e) { return !segment(e).found && !segment(e).replayed && !segment(e).needed; },
     SegmentVerdict::kEnough},
    {"not found", [](const void* e) { return !segment(e).found; }, SegmentVerdict::kMissing},
    {"replayed, and not whole", [](const void* e) { return segment(e).replayed && !segment(e).whole; },
     SegmentVerdict::kDamaged},
    // What is only read later is verified then.
    {"found", [](const void* e) { return segment(e).found; }, SegmentVerdict::kTake},
};

template <typename Evidence, typename Verdict>
Verdict first_fit(const Evidence& evidence, std::span<const TableRow<Verdict>> table) {
  for (const auto& row : table) {
    if (row.fits(&evidence)) return row.verdict;
  }
  check_failed(__FILE__, __LINE__, "row.fits(&evidence)", "the table of recovery has a row for all evidence");
}

}  // namespace

std::span<const TableRow<FileVerdict>> file_table() { return kFileTable; }
std::span<const TableRow<TailVerdict>> tail_table() { return kTailTable; }
std::span<const TableRow<CheckpointVerdict>> checkpoint_table() { return kCheckpointTable; }
std::span<const TableRow<SegmentVerdict>> segment_table() { return kSegmentTable; }

FileVerdict judge(const FileEvidence& evidence) { return first_fit(evidence, file_table()); }
TailVerdict judge(const TailEvidence& evidence) { return first_fit(evidence, tail_table()); }
CheckpointVerdict judge(const CheckpointEvidence& evidence) { return first_fit(evidence, checkpoint_table()); }
SegmentVerdict judge(const SegmentEvidence& evidence) { return first_fit(evidence, segment_table()); }

}  // namespace weir::journal
