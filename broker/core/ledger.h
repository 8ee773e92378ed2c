// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/core/buffer.h"
#include "broker/core/changelog.h"
#include "broker/core/copy_job.h"
#include "broker/core/entry.h"
#include "broker/core/external_group.h"
#include "broker/core/place.h"
#include "broker/core/stage_library.h"
#include "broker/core/stream_state.h"
#include "broker/core/unit_state.h"
#include "sdk/base/result.h"
#include "sdk/topology/topology.h"
#include "sdk/wire/commit.h"
#include "sdk/wire/messages.h"

namespace weir::core {

/// What an external producer has had accepted under its name.
struct ProducerState {
  std::uint64_t last = 0;  ///< number of the last message
  Sequence sequence;       ///< of the entry that holds it
};

/// What a worker is still to do about a record that failed before (wire::Requeued).
struct RequeuedLetter {
  std::uint32_t lane = 0;
  Sequence sequence;  ///< of the entry that decided it
  wire::Requeue what = wire::Requeue::kLetter;
  Bytes key;  ///< as in wire::Requeued, and so is what follows
  Bytes letter;
};

/// Everything that the journal decides, and nothing else (I7): the same entries give the same ledger, whether they were
/// just judged or are read back at a start. The core asks it before it appends, and applies each entry once it has a
/// sequence.
///
/// Streams and stages go by the numbers that the topology in the journal gives them: an entry of kTopology holds it as
/// resolved (sdk/topology/revise.h), in front of the first record and wherever it changes. Journals of earlier versions
/// hold its name only: of them `topology` is the one that they were written by.
/// Thread: the core's.
class Ledger {
 public:
  explicit Ledger(Topology topology);

  /// Takes an entry. `payload` is kept where a frame's bytes are wanted in memory; `place` is where the entry lies, or
  /// unwritten for one that was just appended (then placed() follows).
  /// Errors: kCorrupt where the entry contradicts what came before; after an error the ledger must not be used.
  Status apply(Sequence sequence, const Buffer& payload, Place place, bool keep_bytes);
  /// Takes the entry of a checkpoint, which decides nothing here.
  void apply_checkpoint() { ++next_; }
  /// The entry `sequence`, applied without a place, now lies at (segment, offset).
  void placed(Sequence sequence, std::uint64_t segment, std::uint32_t offset);
  /// Whether the entry, applied last and not written yet, has changes of state, or copies.
  [[nodiscard]] bool holds_changes(Sequence sequence) const {
    for (auto part = unplaced_.rbegin(); part != unplaced_.rend() && part->sequence == sequence; ++part) {
      if (part->kind != Unplaced::Kind::kFrame) return true;
    }
    return false;
  }

  /// Frames that no group waits for are forgotten, or kept as their stream's retention wants as long as it is not
  /// `now_us` (wall clock) that they have outlived, and their slots, of all streams, are no more than `slots_max`.
  /// Without a time everything is kept that might be. Answers by stream how many bytes of them were in memory. Cheap
  /// enough for every tick, not for every commit.
  std::vector<std::uint64_t> release(std::optional<std::int64_t> now_us = std::nullopt,
                                     std::size_t slots_max = SIZE_MAX);
  /// The lowest segment that holds something still needed, of those that are written; `none` if nothing is. Changes of
  /// state below `tail_bytes_min` behind a snapshot below `snapshot_bytes_min` do not count.
  [[nodiscard]] std::uint64_t segment_needed_min(std::uint64_t none, std::uint64_t snapshot_bytes_min = 0,
                                                 std::uint64_t tail_bytes_min = 0) const;
  /// Of the newest snapshots of all stages.
  [[nodiscard]] std::uint64_t snapshot_bytes() const;

  /// Bytes in the journal that are still needed, as far as they are known by frames and changes.
  [[nodiscard]] std::uint64_t bytes_needed() const;
  /// What is still needed in `segment`, about `bytes_max` of it, at least one item if there is any.
  [[nodiscard]] std::vector<CopyItem> needed_in(std::uint64_t segment, std::uint64_t bytes_max) const;
  /// Where the item lies now; an unwritten place if nobody needs it any more.
  [[nodiscard]] Place place_of(const CopyItem& item) const;

  /// A place in an encoded checkpoint that was not known yet: of entry `sequence`, at byte `at`.
  struct Fixup {
    Sequence sequence;
    std::size_t at = 0;
  };
  /// The ledger as one piece, and back. Entries that are not written yet leave fixups behind, in the order of their
  /// sequences; the piece is whole once each has been filled in with fix().
  [[nodiscard]] Bytes encode_checkpoint(std::vector<Fixup>& fixups) const;
  static void fix(Bytes& checkpoint, std::size_t at, std::uint64_t segment, std::uint32_t offset);
  Status decode_checkpoint(BytesView bytes);

  /// The topology that is in force. The object stays where it is; an entry may change what it says.
  [[nodiscard]] const Topology& topology() const { return topology_; }
  /// Whether the journal has said it, rather than whoever made this ledger.
  [[nodiscard]] bool says_topology() const { return says_topology_; }
  /// The oldest record that a group which begins now is promised: none that is in force still waited for one before it.
  [[nodiscard]] std::uint64_t kept_from(std::uint32_t stream, std::uint32_t shard) const;
  [[nodiscard]] StreamState& stream(std::uint32_t index) { return streams_[index]; }
  [[nodiscard]] const StreamState& stream(std::uint32_t index) const { return streams_[index]; }
  [[nodiscard]] std::vector<UnitState>& units() { return units_; }
  [[nodiscard]] const std::vector<UnitState>& units() const { return units_; }
  /// The unit that hosts `stage`.
  [[nodiscard]] std::uint32_t unit_of(std::uint32_t stage) const { return unit_of_[stage]; }
  [[nodiscard]] Changelog& changelog(std::uint32_t stage) { return changelogs_[stage]; }
  [[nodiscard]] const Changelog& changelog(std::uint32_t stage) const { return changelogs_[stage]; }
  [[nodiscard]] std::map<std::string, ProducerState>& producers() { return producers_; }
  /// So many names of producers are known at most: of more, those go that were not used for the longest.
  static constexpr std::size_t kProducersMax = 1 << 16;
  static constexpr std::size_t kProducerNameBytesMax = 255;
  [[nodiscard]] const wire::Counted& totals(std::uint32_t stage) const { return totals_[stage]; }
  [[nodiscard]] std::uint64_t external_total() const { return external_total_; }
  [[nodiscard]] bool opened() const { return opened_; }
  [[nodiscard]] bool finished() const { return finished_; }
  [[nodiscard]] Sequence next_sequence() const { return next_; }
  [[nodiscard]] std::size_t slots() const;
  /// Number for the next snapshot file: above all that took effect.
  [[nodiscard]] std::uint64_t next_file() const { return next_file_; }
  [[nodiscard]] std::uint64_t dead_letter_bytes(std::uint32_t stage) const { return dead_letter_bytes_[stage]; }
  [[nodiscard]] std::uint64_t parked_bytes(std::uint32_t stage) const { return parked_bytes_[stage]; }
  /// Whether so many more may be emitted past the broker: no count of the stream's leads out of bounds by it.
  [[nodiscard]] bool has_numbers_for(const wire::DirectEmitted& emitted, std::uint32_t readers) const;
  /// Event time of a lane of an unkeyed unit is where its cursors are: that of the next frame which may hold something
  /// for them, or of the stream where they have come to its end; what the unit emits to follows. It is in no entry of
  /// the journal; frames that are appended behind it have it, and so it comes back.
  void follow_inputs(std::uint32_t unit);
  /// Records that were emitted to `stream`, which goes from worker to worker, and are neither consumed nor lost.
  [[nodiscard]] std::uint64_t on_the_way(std::uint32_t stream) const;
  /// The loop that `stream` lies in, written and read by parts of it: by number from 1; 0: none.
  [[nodiscard]] std::uint32_t loop_of(std::uint32_t stream) const { return loop_of_[stream]; }
  /// Nothing goes round the loop any more, and nothing may: its "loop" streams have ended.
  [[nodiscard]] bool loop_ended(std::uint32_t loop) const;
  /// Groups outside the topology that read `stream`.
  [[nodiscard]] ExternalGroups& groups(std::uint32_t stream) { return groups_[stream]; }
  [[nodiscard]] const ExternalGroups& groups(std::uint32_t stream) const { return groups_[stream]; }
  /// A worker of `unit` must be told what the lanes that it is leased hold.
  [[nodiscard]] bool keeps_state(const UnitState& unit) const;
  /// What waits to be done about records of `stage` that failed, by number, which is their order.
  using RequeuedLetters = std::map<std::uint64_t, RequeuedLetter>;
  [[nodiscard]] const RequeuedLetters& requeued(std::uint32_t stage) const { return requeued_[stage]; }
  /// Letters wait for `lane` of a unit, of any stage of it.
  [[nodiscard]] bool requeued_waits(const UnitState& unit, std::uint32_t lane) const;
  /// How many workers `stage`, which hosts, is to have: what was wanted of it last while it ran, as long as the
  /// topology says the number that it said then; else what that says.
  [[nodiscard]] std::uint32_t workers(std::uint32_t stage) const {
    return scaled_[stage] != 0 ? scaled_[stage] : topology_.stages[stage].workers;
  }
  /// All groups of `stream` have followed the last move of its boundaries, and none that may come back has read what
  /// was sent before the next one: they may move.
  [[nodiscard]] bool boundaries_rest(std::uint32_t stream) const;
  /// Which library `stage` is to run with; null: the one that the topology leads to.
  [[nodiscard]] const StageLibrary* library(std::uint32_t stage) const {
    return libraries_[stage] ? &*libraries_[stage] : nullptr;
  }

 private:
  friend class LedgerCodec;
  void find_loops();
  /// What was published while a group was not in the topology is not for it: all groups stand at one place.
  void align_readers();
  [[nodiscard]] bool writes(const UnitState& unit, std::uint32_t stream) const;
  [[nodiscard]] bool reads(const UnitState& unit, std::uint32_t stream) const;
  /// Its inputs from outside have ended, and all that it has is consumed: then, since a transaction consumes and emits
  /// at once, nothing can go round any more.
  [[nodiscard]] bool worked_off(std::uint32_t loop) const;
  Status apply_topology(Sequence sequence, BytesView body);
  /// Goes on with `next`, which has the numbers of what is known. Groups that are new, or have not begun, start at the
  /// oldest record that is kept; what rests is only set aside.
  void revise(Topology next);
  Status apply_transaction(Sequence sequence, const EntryHeader& header, const Buffer& payload, Place place, bool keep);
  Status apply_copied(Sequence sequence, const Buffer& payload, Place place);
  void place(const CopyItem& item, const Place& place);
  Status apply_letters(Sequence sequence, const EntryHeader& header, const Buffer& payload, Place place);
  Status apply_parked(Sequence sequence, const EntryHeader& header, const Buffer& payload);
  Status apply_replay(Sequence sequence, const EntryHeader& header, const Buffer& payload);
  Status apply_lost(Sequence sequence, const Buffer& payload);
  /// Records of a stream from worker to worker leave its backlog: consumed, or lost. False: there are not so many.
  bool leave_backlog(std::uint32_t stream, std::uint64_t records, std::uint64_t lost);
  Status apply_publish(Sequence sequence, const Buffer& payload, Place place, bool keep);
  /// As apply_group.
  std::string apply_scaled(std::uint32_t stage, const Scaled& scaled);
  /// As apply_group. ledger_libraries.cc
  std::string apply_upgraded(std::uint32_t stage, const Upgraded& upgraded);
  void revise_libraries(const Topology& next);
  /// As apply_group. ledger_boundaries.cc
  std::string apply_boundaries(BoundariesMoved moved);
  std::string apply_relocated(Sequence sequence, std::uint32_t stage, const Relocated& relocated, const Buffer& payload,
                              Place place);
  /// What cannot be of boundaries for a stream, as a part of a sentence; "" for nothing, and where there are none yet.
  [[nodiscard]] static std::string contradiction_of(const Stream& spec, const std::vector<Boundary>& boundaries);
  /// What cannot be of `workers` for `stage`, as a part of a sentence; "" for nothing.
  [[nodiscard]] std::string contradiction_of(std::uint32_t stage, std::uint32_t workers) const;
  /// Answers what is wrong with it, as a part of a sentence; "" where it was applied.
  std::string apply_group(const GroupMoved& moved);
  [[nodiscard]] bool read_by_stage(std::uint32_t stream) const;
  /// Whether what a stream holds waits for a first group follows from who reads it now.
  void refresh_unclaimed(std::uint32_t stream);
  void count_backlog(std::uint32_t stream);
  /// All that groups outside read has ended, and they have acknowledged it.
  [[nodiscard]] bool consumed_outside() const;
  void forget_producers();
  Status append_frame(Sequence sequence, std::uint32_t stream, const Buffer& frame, Place place, bool keep);
  /// Derives what has ended from what the lanes say; the flow goes from sources down, so one pass per stage suffices.
  void refresh_ends();
  void refresh_watermarks(const UnitState& unit);
  void count_backlog();
  /// What in a ledger that was read cannot be, as a part of a sentence; "" for nothing. Whoever uses it may rely on all
  /// that is checked here: no index, range or number leads out of what it is of.
  [[nodiscard]] std::string contradiction() const;
  [[nodiscard]] std::string contradiction_of(const StreamState& stream) const;
  [[nodiscard]] std::string contradiction_of(const UnitState& unit) const;
  [[nodiscard]] std::string contradiction_of(const StreamState& stream, const ExternalGroups& groups) const;
  [[nodiscard]] std::string contradiction_of(std::uint32_t stage) const;
  /// No number of anything comes near this: more than a million a second for thirty thousand years.
  static constexpr std::uint64_t kNumberMax = 1ULL << 60;

  Topology topology_;
  bool says_topology_ = false;
  std::vector<StreamState> streams_;
  std::vector<ExternalGroups> groups_;  ///< by stream
  std::vector<std::uint32_t> loop_of_;  ///< the same
  std::vector<UnitState> units_;
  std::vector<std::uint32_t> unit_of_;
  std::vector<Changelog> changelogs_;
  std::vector<wire::Counted> totals_;
  std::vector<std::uint64_t> dead_letter_bytes_;
  std::vector<std::uint64_t> parked_bytes_;  ///< by stage, as is what follows
  std::vector<RequeuedLetters> requeued_;
  std::vector<std::uint32_t> scaled_;  ///< 0: as many workers as the topology says
  std::vector<std::optional<StageLibrary>> libraries_;
  std::uint64_t requeued_next_ = 1;  ///< number of the next one, over all stages
  std::map<std::string, ProducerState> producers_;
  std::uint64_t external_total_ = 0;
  bool opened_ = false;
  bool finished_ = false;
  Sequence next_;
  std::uint64_t next_file_ = 1;

  /// Entries that were applied before they were written: where their parts went.
  struct Unplaced {
    Sequence sequence;
    enum class Kind : std::uint8_t { kFrame, kChanges, kCopy } kind{};
    std::uint32_t index = 0;  ///< of the stream, or of the stage
    std::uint64_t frame = 0;
    CopyItem copy{};
  };
  std::deque<Unplaced> unplaced_;
};

}  // namespace weir::core
