// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "broker/journal/checkpoint.h"
#include "broker/journal/disk.h"
#include "broker/journal/frame.h"
#include "broker/journal/recovery.h"
#include "broker/journal/reserve.h"
#include "broker/journal/segment.h"
#include "broker/journal/segment_pool.h"
#include "sdk/base/bytes.h"
#include "sdk/base/ids.h"
#include "sdk/base/result.h"

namespace weir::journal {

/// Where an entry's frame starts. Stays valid across starts: copies keep segment number and offset.
struct Position {
  std::uint64_t segment = 0;
  std::uint32_t offset = 0;
  friend auto operator<=>(const Position&, const Position&) = default;
};

/// An entry to be written: gathered from parts, never copied. Lifetime: borrowed for the call.
struct EntryView {
  EntryKind kind = EntryKind::kRecord;
  std::span<const BytesView> parts;
};

/// What follows an append(), as far as it is known.
enum class Follows : std::uint8_t {
  kAnything,
  kSync,  ///< and no read of it, as a rule: a large group goes past the page cache then, as it waits for the disk
          ///< anyhow
};

struct JournalOptions {
  std::uint64_t segment_bytes = 64ULL << 20;  ///< a multiple of 4 KiB, from 32 KiB to below 4 GiB; fixed for life
  std::uint64_t seed = 0;                     ///< a random number; taken by a new journal only
  std::uint32_t segments_reserve = 2;         ///< spares kept ready beside the one that a start needs
};

/// What a start found.
struct Recovery {
  Reign reign;                              ///< this life's number; read only: the number of the last one (0: none was)
  Sequence end;                             ///< of the next entry
  std::optional<CheckpointRef> checkpoint;  ///< the one to start from
  Bytes checkpoint_bytes;                   ///< its verified content
  std::uint64_t cut_bytes = 0;              ///< torn tail that was cut
  bool stale_behind = false;                ///< behind the last entry it saw a group of the segment's earlier use
  std::string cut_report;                   ///< sentences, one a line, for every cut and every damage passed over
  std::uint64_t bytes_read = 0;             ///< by the recovery, without replay()
};

/// Plain counters. Bytes on disk are those of segment files.
struct JournalProbe {
  std::uint64_t bytes_on_disk = 0;
  std::uint64_t segments = 0;  ///< files, free ones included
  std::uint64_t segments_in_use = 0;
  std::uint64_t segments_created = 0;   ///< spares made in this life
  std::uint64_t segments_recycled = 0;  ///< roll-overs: each takes a file that exists
  std::uint64_t syncs = 0;
  std::uint64_t writes = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t groups = 0;
};

/// What one sync makes durable, between Journal::begin_sync() and Journal::end_sync(). Lifetime: within the journal's.
class SyncUnderWay {
 public:
  /// Once. Errors: kIo. [any thread]
  [[nodiscard]] Status run() const { return file_->sync(); }

 private:
  friend class Journal;
  SyncUnderWay(File& file, Sequence through, std::size_t checkpoints)
      : file_(&file), through_(through), checkpoints_(checkpoints) {}

  File* file_;
  Sequence through_;         // entries before this one
  std::size_t checkpoints_;  // whose entries it covers
};

/// The broker's durable, ordered record of every transaction: a row of segments, the last one open. Opening recovers
/// it: a torn tail is cut and reported, damage elsewhere is refused (FORMAT.md, "Recovery").
///
/// Threads: append(), the syncs, mark_if_needed() and replay() belong to the writer; prepare_spare() and
/// write_checkpoint_file() to a background thread each; what says [any thread] to all. What they share: the segment
/// table and the list of old checkpoint files (`shared_mutex_`, never held over input or output), the free segments
/// (SegmentPool has its own lock) and atomic counters. One thread may do it all, as the simulation does: a roll-over
/// that finds no spare makes one itself.
/// Lifetime: the disk must outlive it.
class Journal {
 public:
  /// Recovers and opens a new reign, durably, before it returns. A failed open leaves the history as it was and may be
  /// repeated. Errors: kCorrupt, naming file, segment and position; kDiskFull; kIo; kInvalid for options that do not
  /// fit the journal; kRefused for a format of a newer Weir.
  static Result<std::unique_ptr<Journal>> open(Disk& disk, const JournalOptions& options, Recovery& out);

  /// Recovers in memory and writes nothing. Only replay(), read() and probe() may be called.
  static Result<std::unique_ptr<Journal>> open_read_only(Disk& disk, Recovery& out);

  /// Every entry from the checkpoint (`Recovery::checkpoint`, or the first entry) to the end, in order, one in memory
  /// at a time; `payload` is valid during the call. Stops at an error of `visit` and returns it. Errors: kCorrupt, kIo.
  /// REQUIRES: before the first append(). [writer]
  using Visit = std::function<Status(Sequence, Position, EntryKind, BytesView payload)>;
  Status replay(const Visit& visit);

  /// Writes `group` with the next sequences, in order, at a fresh block with one write; splits it only where a segment
  /// ends. Pushes each entry's position onto `out`. Durable only after sync(); read() sees it at once.
  /// Errors: kDiskFull (nothing was written; may be called again); kIo (sticky: every later call returns it).
  /// REQUIRES: each entry's size <= entry_bytes_max(); a kCheckpoint entry holds encode() of what
  /// write_checkpoint_file() returned. [writer]
  Status append(std::span<const EntryView> group, std::vector<Position>& out, Follows follows = Follows::kAnything);

  /// So many entries of `group`, from its first on, fit into the segment being written. [writer]
  [[nodiscard]] std::size_t fit_this_segment(std::span<const EntryView> group) const;

  /// Makes all that was written durable; checkpoints whose entries it covers take effect. No cost when all is durable.
  /// Errors: kIo, sticky. [writer]
  Status sync();

  /// The same in three steps, so that the writer can append() beside it: this one, run() of what it returns, on any
  /// thread, and end_sync(). Nothing where all is durable, or where it failed, as mark_if_needed() says: what was
  /// written beside a sync gets a mark of how far that came. REQUIRES: no sync is under way. [writer]
  std::optional<SyncUnderWay> begin_sync();
  /// `outcome` is what run() returned. What was written since begin_sync() is not durable. Errors: as sync(). [writer]
  Status end_sync(const SyncUnderWay& sync, const Status& outcome);
  /// Whether append() may be called while a sync is under way: not where it would sync on its own account, since of two
  /// syncs of a file that fails only one may hear of it. [writer]
  [[nodiscard]] bool fits_beside_sync(std::span<const EntryView> group) const;

  /// Writes, without a sync, how far syncs have come, if no group has said it yet: call it when the queue runs empty,
  /// so that what was acknowledged last is known to have been durable. Errors: kIo, sticky. [writer]
  Status mark_if_needed();

  [[nodiscard]] Reign reign() const { return reign_; }
  /// The next entry's sequence. [any thread]
  [[nodiscard]] Sequence written() const { return Sequence(written_.load(std::memory_order_acquire)); }
  /// Entries before this one are durable. [any thread]
  [[nodiscard]] Sequence durable() const { return Sequence(durable_.load(std::memory_order_acquire)); }
  /// The largest payload that append() takes: what fits into a segment of its own.
  [[nodiscard]] std::uint64_t entry_bytes_max() const {
    return options_.segment_bytes - kBlockBytes - kOpeningBytes - sizeof(FrameHeader);
  }
  /// The segment being written; everything below it is closed. [any thread]
  [[nodiscard]] std::uint64_t segment_newest() const { return segment_newest_.load(std::memory_order_acquire); }

  /// The oldest segment that is kept. [any thread]
  [[nodiscard]] std::uint64_t segment_oldest() const;

  /// Removes checkpoint files that were superseded and keeps a reserve and spare segments ready, once an eighth of the
  /// first segment of a new directory is written; one that a roll-over took is made anew only if none has been recycled
  /// when the segment being written is half full, or would be if twice as much came as since the last call. Slow.
  /// Errors: kDiskFull (see low_on_space()), kIo. [background]
  Status prepare_spare();
  /// The end is near: a prepare_spare() under way ends soon. [any thread]
  void stop_preparing() { pool_.stop(); }

  /// A spare could not be made: callers stop accepting what adds records, and what is ready is a reserve for commits
  /// that add none. Recycling ends it, or a later prepare_spare() that finds room. [any thread]
  [[nodiscard]] bool low_on_space() const { return pool_.low(); }

  /// Low, the next roll-over will find nothing, and the segment being written is half full: its rest is what is left
  /// for commits that add no records, and for what is under way. [any thread]
  [[nodiscard]] bool out_of_spares() const {
    return pool_.low() && pool_.ready() < 2 + held_back() && past(options_.segment_bytes / 2);
  }

  /// Makes room on a full disk for a snapshot, as write_checkpoint_file() does for itself. False where none is kept.
  /// Errors: kIo. [background]
  Result<bool> give_up_reserve() { return reserve_.give_up(); }

  /// The next append() may take the last spare but the one that a start needs. For entries that have waited in vain:
  /// not even a checkpoint's fits into a segment that is full to its end, and without it none is freed. [writer]
  void permit_last_segment() { last_segment_permitted_ = true; }

  /// Writes `bytes` beside the journal, synced with its folder: the state after all entries before `through`.
  /// `segment_needed_min` is the oldest segment that read() will still be asked for, now or by who starts with this
  /// checkpoint. It takes effect when an entry of kind kCheckpoint with encode() of the answer has been appended and a
  /// sync has covered it; then the segments that the last two checkpoints in force do without are recycled. Errors:
  /// kRefused when `through` is not above that of the last checkpoint, kDiskFull, kIo. REQUIRES: through <= durable().
  /// [background]
  Result<CheckpointRef> write_checkpoint_file(Sequence through, std::uint64_t segment_needed_min, BytesView bytes);

  /// The payload of the entry at `position`, verified. Errors: kCorrupt, naming segment and position; kNotFound when
  /// that segment has been recycled; kIo. [any thread]
  [[nodiscard]] Result<Bytes> read(Position position) const;

  [[nodiscard]] JournalProbe probe() const;  ///< [any thread]
  /// The random number that tells this journal from every other.
  [[nodiscard]] std::uint64_t seed() const { return seed_; }

 private:
  friend class Opening;

  struct Segment {
    std::unique_ptr<File> file;
    SegmentHeader header;
  };
  /// Consecutive entries of one append() that go into one segment.
  struct Piece {
    std::size_t first = 0;
    std::size_t count = 0;
    bool roll_over = false;
  };

  Journal(Disk& disk, const JournalOptions& options, std::uint64_t file_number_next)
      : disk_(disk),
        options_(options),
        pool_(disk, options.segment_bytes, file_number_next),
        reserve_(disk, options.segment_bytes / 4) {}

  [[nodiscard]] std::uint32_t usable_end() const {
    return static_cast<std::uint32_t>(options_.segment_bytes) - kOpeningBytes;
  }
  [[nodiscard]] std::vector<Piece> cut_to_segments(std::span<const EntryView> group) const;
  /// From so much in a directory's first segment on spares are made: three are to be there when it is full, and a
  /// topology that never writes so much does without.
  static constexpr std::uint64_t warm_from(std::uint64_t segment_bytes) { return segment_bytes / 8; }
  /// The segment being written is filled past `place`, or would be with so many bytes `more`.
  [[nodiscard]] bool past(std::uint64_t place, std::uint64_t more = 0) const {
    return filled_.load(std::memory_order_relaxed) + more > place;
  }
  /// Spares that only permit_last_segment() gives out, beside the one that a start needs.
  [[nodiscard]] std::size_t held_back() const { return options_.segments_reserve >= 2 ? 1 : 0; }
  /// Such that they are ready in time, where so much was written since it last looked.
  Status keep_spares(std::uint64_t lately);
  Status find_room(std::size_t roll_overs);
  Status roll_over();
  Status write_group(std::span<const EntryView> entries, std::vector<Position>& out, Follows follows);
  /// Before a group that ends at `end` is written: makes a file that is not full longer than that.
  Status grow_for(std::uint64_t end);
  Status write(std::uint64_t offset, std::span<const BytesView> parts, Follows follows = Follows::kAnything);
  /// Of those whose entries are written, the first `synced` take effect.
  void settle_checkpoints(std::size_t synced);
  void recycle();
  [[nodiscard]] std::uint64_t segment_of(Sequence sequence) const;
  Status fail(const Error& error);

  Disk& disk_;
  const JournalOptions options_;
  SegmentPool pool_;
  Reserve reserve_;
  bool last_segment_permitted_ = false;
  std::uint64_t seed_ = 0;
  Reign reign_;
  bool read_only_ = false;
  Sequence replay_from_;

  mutable std::mutex shared_mutex_;
  std::map<std::uint64_t, Segment> segments_;        // by number; the writer changes it under shared_mutex_
  std::vector<std::string> checkpoints_old_;         // files to remove; under shared_mutex_
  std::optional<Sequence> checkpoint_through_last_;  // of the last one that was written or is in force; likewise

  std::uint64_t written_when_asked_ = 0;  // bytes, when prepare_spare() ended last, whose thread's it is

  // The writer's own.
  Segment* current_ = nullptr;
  std::uint32_t offset_ = 0;  // of the next group; a multiple of kBlockBytes
  std::uint64_t grown_ = 0;   // bytes of the file being written that a sync has covered, written or not
  Sequence mark_last_;        // the highest mark in the journal
  bool unsynced_ = false;     // something was written since the last sync began
  bool syncing_ = false;      // between begin_sync() and end_sync()
  std::optional<Error> failure_;
  std::optional<CheckpointRef> checkpoint_newest_;  // in force
  std::optional<CheckpointRef> checkpoint_before_;
  std::vector<CheckpointRef> checkpoints_pending_;  // entry written, not synced
  std::vector<FrameHeader> frames_;                 // reused from append to append
  std::vector<BytesView> parts_;

  std::atomic<std::uint64_t> written_{0};
  std::atomic<std::uint64_t> durable_{0};
  std::atomic<std::uint64_t> segment_newest_{0};
  std::atomic<bool> warm_{false};         // spares are worth their space
  std::atomic<std::uint32_t> filled_{0};  // of the segment being written
  std::atomic<std::uint64_t> syncs_{0};
  std::atomic<std::uint64_t> writes_{0};
  std::atomic<std::uint64_t> bytes_written_{0};
  std::atomic<std::uint64_t> groups_{0};
};

}  // namespace weir::journal
