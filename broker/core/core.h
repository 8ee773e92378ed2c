// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/core/consumer.h"
#include "broker/core/direct_accounts.h"
#include "broker/core/hot_frames.h"
#include "broker/core/key_sample.h"
#include "broker/core/lane_loads.h"
#include "broker/core/lease_balance.h"
#include "broker/core/ledger.h"
#include "broker/core/load_follower.h"
#include "broker/core/outside.h"
#include "broker/core/priority_turns.h"
#include "broker/core/published_accounts.h"
#include "broker/core/suspect.h"
#include "broker/core/unsettled_bytes.h"
#include "broker/core/upkeep.h"
#include "broker/core/worker.h"
#include "sdk/wire/changes.h"
#include "sdk/wire/compression.h"
#include "sdk/wire/hot_key_sketch.h"
#include "sdk/wire/map.h"
#include "sdk/wire/messages.h"
#include "sdk/wire/sharding.h"

namespace weir::core {

struct Parcel;

struct CoreOptions {
  std::chrono::microseconds beat{500'000};
  std::chrono::microseconds silence{10'000'000};  ///< a worker that said nothing for so long is fenced
  std::chrono::microseconds settle_in{500'000};  ///< how long a start waits for all workers before leases move to fewer
  std::uint64_t load_records_min = 1000;         ///< a second: with fewer a stage's shards count as equally heavy
  std::uint64_t segments_slack = 6;              ///< closed segments beyond twice what is needed before any is copied
  std::chrono::microseconds upgrade_proof{10'000'000};  ///< workers with a new library have proven themselves then
  std::chrono::microseconds boundaries_every{250'000};  ///< boundaries of a stream move no more often
  std::size_t learned_keys_min = 64;                    ///< with fewer keys nothing is learned of boundaries
  std::size_t learned_keys_max = KeySample::kKeysMax;   ///< of the newest keys so many are looked at
  std::size_t relocated_bytes = 256 << 10;              ///< state follows its keys in portions of this size
  std::uint64_t entry_bytes_max = UINT64_MAX;           ///< the journal takes no larger entry
  std::string commits_endpoint;                         ///< told to workers
  std::string host;                                     ///< the name of the broker's machine
  bool only_looks = false;                              ///< at a directory where nothing runs
  std::string journal;                                  ///< names it, to workers that keep state on their disk
  std::string state_dir;                                ///< where those of the broker's own machine do
  std::string news_endpoint;                            ///< of the PUB socket; told to workers and producers
};

/// What happened to one stage on one worker since the broker started. Rendered elsewhere.
struct StageProbe {
  std::uint64_t records_in = 0;
  std::uint64_t records_out = 0;
  std::uint64_t dead_letters = 0;
  std::uint64_t late = 0;
  std::map<std::string, std::uint64_t> errors;
  double busy_ratio = 0;
  double blocked_ratio = 0;
  std::uint64_t state_bytes = 0;
  std::vector<std::uint64_t> process_buckets;
  double process_seconds = 0;
  std::vector<std::uint64_t> end_to_end_buckets;
  double end_to_end_seconds = 0;
  std::vector<wire::HotKeysSeen> hot_keys;  ///< as the worker said last
};

/// Counters of a stream since the broker started.
struct StreamProbe {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::map<std::string, std::uint64_t> dropped;
  std::uint64_t lost = 0;        ///< between workers
  std::uint64_t deliveries = 0;  ///< of `pub_sub`: records times workers that they were meant for
};

/// A dead letter as it lies in the journal.
struct LetterFound {
  std::uint32_t stage = 0;
  std::uint32_t lane = 0;
  std::string id;                ///< letter_id.h
  std::string stream;            ///< that its record came from
  std::uint64_t kept_bytes = 0;  ///< that it takes of kept_bytes_max
  Bytes key;
  Bytes bytes;       ///< wire::encode(DeadLetter); empty where it is only dropped, or parked
  Bytes parked;      ///< of a parked record: its ParkedName; else empty
  Bytes parked_key;  ///< of a parked record: the record's key
};

/// What a stage runs with, and how far that has come.
struct LibraryInForce {
  std::optional<LibraryVersion> version;  ///< nothing: nobody has said
  const StageLibrary* chosen = nullptr;   ///< null: the topology's own
  bool moving = false;
  std::uint32_t workers_outdated = 0;
};

/// Where a group is to go back to.
struct ReplayRequest {
  std::uint32_t stage = 0;
  std::uint32_t stream = 0;
  bool reset = false;
  std::vector<Replay::From> from;  ///< by shard
};

/// Dead letters that a person wants dropped or worked on again.
struct LetterRequest {
  bool again = false;
  std::vector<LetterFound> found;      ///< stage by stage, in the order in which they are to be worked on
  std::vector<std::string> sentences;  ///< why some were not found
  std::uint64_t left = 0;              ///< asked for, and too many for one request
};

/// The broker's mind: judges transactions, leases lanes, delivers under credit, and knows when it is over. Maps (event,
/// time) to calls of Outside, and reads no clock, file or socket itself.
///
/// A life: apply the journal to ledger(), then revise() where a topology is wanted, then start(), then events. pump()
/// after each burst of events does what they made possible; tick() a hundred times a second what only time makes
/// possible. Thread: one. Lifetime: `outside` must outlive it.
class Core {
 public:
  /// `topology`: what the ledger begins with, see there.
  Core(const Topology& topology, CoreOptions options, Outside& outside);

  Ledger& ledger() { return ledger_; }
  [[nodiscard]] const Ledger& ledger() const { return ledger_; }

  /// The topology that work is to go on under. start() enters it in the journal where that says another. Answers what a
  /// person should know. Errors: as plan_revision (revision.h).
  Result<std::vector<std::string>> revise(const Topology& wanted);
  /// The topology that start() will serve, or serves.
  [[nodiscard]] const Topology& topology() const { return revision_ ? *revision_ : topology_; }

  /// Opens service in `reign` behind what the journal held, in the segments `kept`. `settled`: everything before it is
  /// settled.
  void start(Reign reign, SegmentSpan kept, Monotonic now);

  // Journal.
  void on_written(Sequence sequence, std::uint64_t segment, std::uint32_t offset);
  /// Everything before `sequence` is as durable as its entry asked for.
  void on_settled(Sequence sequence, Monotonic now);
  /// Everything before `sequence` is on disk, whatever its entry asked for: what a checkpoint may hold.
  void on_durable(Sequence sequence);
  /// Bytes of a frame that was read back, whole; none if it had been copied elsewhere before it could be read.
  void on_frame(std::uint32_t stream, std::uint64_t frame, Bytes bytes);
  /// The frame is still needed and lies there: if it cannot be read, it is lost.
  [[nodiscard]] bool lies_at(std::uint32_t stream, std::uint64_t frame, const Place& place) const;
  void on_state(Incarnation incarnation, const wire::StatePart& part);
  /// A portion of what is to be restored has been said, or all of it.
  void on_restored(RestoreJob job);
  void on_compacted(const CompactJob& job);
  void on_copied(const CopyJob& job);
  /// The file is on disk; `payload` is what the journal wants to find in the checkpoint's entry. Empty: it failed, for
  /// want of room or otherwise, and the next one is tried in its turn.
  void on_checkpoint(BytesView payload, bool lacks_room = false);
  /// Where all dead letters lie, for a reader.
  [[nodiscard]] std::vector<RestoreJob::Part> dead_letter_parts() const;
  /// Drops letters or requeues them, and answers `client` once that is on disk. REQUIRES: !moves_letters(), so that
  /// what was found is still there.
  void move_letters(const Client& client, LetterRequest request, Monotonic now);
  [[nodiscard]] bool moves_letters() const;
  /// So many bytes of letters may wait to be worked on again.
  [[nodiscard]] std::uint64_t requeued_bytes_max() const;
  /// Empty, or why `stage` cannot go back in `stream`. REQUIRES: both are known.
  [[nodiscard]] std::optional<std::string> why_no_replay(std::uint32_t stage, std::uint32_t stream) const;
  /// Empty, or why `stage` cannot have `workers` workers. REQUIRES: it is known.
  [[nodiscard]] std::optional<std::string> why_no_scale(std::uint32_t stage, std::int64_t workers) const;
  /// How many workers each stage that hosts, and does not rest, is to have, by its number.
  [[nodiscard]] std::map<std::uint32_t, std::uint32_t> workers_wanted() const;
  [[nodiscard]] LibraryInForce library_of(std::uint32_t stage) const;
  /// The group goes back, never forward, and `client` is answered once that is on disk. False, and nothing was done or
  /// answered, where what was found is kept no more since.
  [[nodiscard]] bool replay(const Client& client, const ReplayRequest& request, Monotonic now);
  /// How the disk is. `low`: as low_on_space(). `out`: nothing but sinks goes on, which add no records.
  void set_space(bool low, bool out) {
    space_low_ = low;
    out_of_space_ = out;
  }
  /// Sources and producers wait, and a stage adds records only while its consumers have nothing to do, since what it
  /// consumes gives room back: the journal is low, or the last checkpoint or snapshot found no room. Without those no
  /// segment comes free, and the spares that are left are what the rest is worked off with.
  [[nodiscard]] bool low_on_space() const { return space_low_ || upkeep_.lacks_room(); }

  // Workers.
  void on_client(const Client& client, BytesView message, Monotonic now);
  void on_message(const Buffer& message, Monotonic now);
  /// Which library the topology leads to for each stage that has workers from its launcher. Where that is neither the
  /// one that a person has chosen nor the one that it was when that was chosen, it is what is wanted.
  void on_libraries(const std::map<std::uint32_t, LibraryVersion>& in_file, Monotonic now);
  /// Workers of `stage` cannot run with the library `hash`, says their parent: it goes back to the one before.
  void on_upgrade_failed(std::uint32_t stage, const std::string& hash, const std::string& why, Monotonic now);
  /// A process is gone, says its parent. `fatal`: by its own fault while it processed that record.
  void on_died(std::uint32_t stage, std::uint32_t worker, std::int64_t pid, Monotonic now,
               const std::optional<FatalRecord>& fatal = std::nullopt);

  void drain(Monotonic now);
  /// Tells all workers to exit.
  void stop();

  void pump(Monotonic now);
  void tick(Monotonic now);

  /// The object of /api/status, as JSON text.
  [[nodiscard]] std::string status_text() const;
  /// Of a stream whose hot keys are split: the share of its records that came by the second stream, since the directory
  /// began, and the keys that those who send to it take for hot now, each with its share of the records lately, the
  /// greatest first.
  struct HotKeys {
    double ratio = 0;
    std::vector<std::pair<Bytes, double>> keys;
  };
  [[nodiscard]] std::optional<HotKeys> hot_keys(std::uint32_t stream) const;
  /// The same as the answer to {"op": "status"}.
  [[nodiscard]] Bytes status_message() const;
  [[nodiscard]] const std::map<std::pair<std::uint32_t, std::uint32_t>, StageProbe>& stage_probes() const {
    return stage_probes_;
  }
  [[nodiscard]] const std::vector<StreamProbe>& stream_probes() const { return stream_probes_; }
  [[nodiscard]] std::uint64_t restarts(std::uint32_t stage) const { return restarts_[stage]; }
  [[nodiscard]] std::string state_name() const;
  [[nodiscard]] bool finished() const { return finished_told_; }
  [[nodiscard]] std::uint64_t records_in()
      const;  ///< emitted by sources and external producers, since the directory began
  [[nodiscard]] std::uint64_t records_out() const;  ///< consumed by sinks
  [[nodiscard]] std::uint64_t dead_letters() const;
  [[nodiscard]] std::uint64_t waiting() const;
  /// Empty, or which group outside the end waits for, in a few words.
  [[nodiscard]] std::string waits_outside() const;
  /// Empty, or why /healthz says 503.
  [[nodiscard]] std::string unhealthy() const;
  void set_started_us(std::int64_t wall_us) { started_us_ = wall_us; }

 private:
  static constexpr std::uint64_t kAheadMax = 1024;  ///< ranges committed ahead of a group's cursor

  struct RequeuedAt {
    Incarnation worker;
    std::uint32_t lane = 0;
  };
  struct UnitLeases {
    explicit UnitLeases(std::uint64_t load_records_min) : loads(load_records_min) {}

    std::vector<LaneLease> lanes;
    std::map<std::uint64_t, RequeuedAt> requeued;  ///< letters that a worker has been sent, by number
    std::map<std::uint64_t, RequeuedSuspect> requeued_suspects;
    std::vector<Suspect> suspects;              ///< records that are delivered alone
    std::deque<DirectSuspect> direct_suspects;  ///< the same of those that come past the broker; the newest
    std::vector<std::uint64_t> scan;            ///< ranges: per input, the next frame to dispatch
    std::vector<PriorityTurns> turns;           ///< per input; of use where it is dispatched by priority
    std::uint32_t worker_next = 0;              ///< round robin
    Incarnation enumerator;
    /// State of a shard on its way to a worker that is to have it next. One at a time.
    struct Ahead {
      std::uint32_t number = 0;  ///< of the copy
      std::uint32_t lane = 0;
      Incarnation to;
      Sequence through;    ///< changes before it are in the copy
      bool whole = false;  ///< the worker has all of it
    };
    std::optional<Ahead> ahead;
    /// State that is read to follow keys whose boundaries have moved.
    struct Relocating {
      std::uint32_t number = 0;                                          ///< of what is read
      bool erases = false;                                               ///< it is copied, and goes where it was
      std::map<std::pair<std::uint32_t, std::uint32_t>, Bytes> changes;  ///< by stage and lane, not entered yet
      std::size_t bytes = 0;
      Sequence entered;                  ///< everything before it is to be written before more is read
      std::optional<RestoreJob> paused;  ///< until then
    };
    std::optional<Relocating> relocating;
    std::optional<LoadFollower> follower;  ///< where the number of workers follows the load
    LaneLoads loads;
    Sequence ahead_from;  ///< the next copy begins when everything before it is on disk; 0: none is wanted
    std::optional<Monotonic> proving_since;  ///< all workers have the library that is wanted, and all shards
    bool dirty = true;                       ///< a lane is free, or workers came or went
    bool stopped = false;
  };
  struct Session {
    std::string name;
    std::uint32_t stream = 0;
    std::uint64_t id = 0;
    std::uint64_t last = 0;  ///< number of the last message accepted
    std::uint64_t acknowledged = 0;
    std::deque<std::pair<std::uint64_t, Sequence>> unsettled;
    Monotonic heard{0};
    Bytes open_answer;  ///< waits until what `last` names is settled
    Sequence open_sequence;
    bool end_pending = false;
    Sequence end_sequence;
  };
  struct Tap {
    std::uint32_t stream = 0;
    std::vector<std::uint64_t> positions;
    std::uint64_t frame = 0;
    Monotonic asked{0};
  };

  // core_commit.cc
  void on_commit(Worker& worker, const Buffer& message, Monotonic now);
  /// Why the journal does not take a transaction, if it does not.
  [[nodiscard]] std::optional<std::string> too_large(const Buffer& message) const;
  std::optional<std::string> judge(const Worker& worker, const wire::Commit& commit, BytesView bytes) const;
  /// The stage whose dead letters would take more than it may keep, or nothing.
  /// The stage that failed records of `commit` leave no room for, and which room.
  struct Overfull {
    std::uint32_t stage = 0;
    std::string sentence;
  };
  std::optional<Overfull> overfull(const wire::Commit& commit) const;
  std::optional<std::string> judge_consumed(const Worker& worker, const wire::Consumed& range) const;
  void enter_consumed(const Worker& worker, const wire::Consumed& range);
  void patch_frame(std::span<std::byte> frame);
  void count(const Worker& worker, const wire::Commit& commit);
  /// Whether anybody outside waits for `commit` to be on disk: a sink for its records, a person for an end.
  [[nodiscard]] bool awaited(const Worker& worker, const wire::Commit& commit, BytesView bytes) const;
  /// Journals and applies an entry whose payload starts with its header.
  Sequence append(Buffer payload, Durability durability, bool awaited = true);
  Sequence append(EntryHeader header, BytesView body, Durability durability);
  void settle(Worker& worker);
  /// How far its transactions have come, if it does not know.
  void tell_committed(Worker& worker);
  /// So much may be accepted before a worker has to be told, lest its window fill.
  [[nodiscard]] std::uint64_t tell_bytes(const Worker& worker) const;

  // core_lease.cc
  void hello(const Client& client, const wire::WorkerHello& hello, Monotonic now);
  void fence(Incarnation incarnation, const std::string& reason);
  void forget(Incarnation incarnation);
  /// It is drained, and goes then.
  void let_go(Worker& worker);
  /// Whoever asked to go and is drained goes, once its source, if it is one, knows that all it committed is settled.
  void let_leave();
  void lease(std::uint32_t unit, Monotonic now);
  void lease_lanes(std::uint32_t unit, Monotonic now);
  [[nodiscard]] std::uint32_t restored_together(const UnitState& unit) const;
  void grant(Worker& worker, const std::vector<std::uint32_t>& lanes);
  void release_lane(std::uint32_t unit, std::uint32_t lane);
  /// Frames that hold records for `lane` are looked at, also those that the worker's scan has passed.
  void look_again(Worker& worker, std::uint32_t lane);
  void restore(Worker& worker, const std::vector<std::uint32_t>& lanes);
  /// State of these lanes as it is before `end`; of those `on_top` only what the worker does not say that it has.
  [[nodiscard]] RestoreJob restore_job(const Worker& worker, std::vector<std::uint32_t> lanes,
                                       std::set<std::uint32_t> on_top, Sequence end) const;
  void retry_restores();
  /// State takes of a worker's credit, as records do.
  void send_state(Worker& worker, const wire::StatePart& part);
  /// Reads on for workers that have room, and forgets what was read for those that are gone.
  void resume_restores();
  void send_finishes(std::uint32_t unit);
  void send(Worker& worker, wire::MessageType type, BytesView body);
  /// `message` begins as wire::message_room().
  void send_built(Worker& worker, wire::MessageType type, Bytes message);
  Worker* find_worker(Incarnation incarnation);
  std::vector<Worker*> workers_of(std::uint32_t unit, bool only_ready = true);

  // core_splits.cc
  /// How many splits that have not ended a worker reads.
  struct SplitShare {
    Incarnation worker;
    std::uint32_t splits = 0;
  };
  /// By the host where they lie; all under "" where they lie nowhere. Each has one worker at least.
  using SplitShares = std::map<std::string, std::list<SplitShare>>;
  void lease_splits(std::uint32_t unit, Monotonic now);
  /// Ready, and not about to go.
  std::vector<Worker*> readers_of_splits(std::uint32_t unit);
  [[nodiscard]] SplitShares split_shares(std::uint32_t unit, const std::vector<const Worker*>& workers) const;
  /// Asks a split back from whoever has more than a fair share, if it is time.
  void share_splits(std::uint32_t unit, const SplitShares& shares);
  /// Their records keep their order where another worker reads on.
  [[nodiscard]] bool splits_may_move(const UnitState& unit) const;
  /// How many splits are still to move until all have fair shares.
  [[nodiscard]] std::uint32_t splits_moving(std::uint32_t unit) const;
  /// A sentence about a split that waits for a worker on its host; "" for none.
  [[nodiscard]] std::string unreachable_split(std::uint32_t unit) const;

  // core_scale.cc
  void scale(const Client& client, const wire::MapReader& map);
  /// Enters it in the journal, and whoever starts workers is told.
  void want_workers(std::uint32_t stage, std::uint32_t workers, Scaled::By by, std::string why);
  /// Of more workers than are wanted those stay that run what is wanted, and of these those with the lowest numbers.
  [[nodiscard]] bool stays_before(const Worker& a, const Worker& b) const;
  /// Workers of the unit beyond the number that is wanted. They get nothing more.
  std::vector<Worker*> superfluous(std::uint32_t unit);
  /// Superfluous workers that have nothing any more that moves alone are drained.
  void let_superfluous_go(std::uint32_t unit);
  /// As workers see the topology.
  void tell_topology();

  // core_upgrade.cc
  void upgrade(const Client& client, const wire::MapReader& map);
  [[nodiscard]] std::optional<std::string> why_no_upgrade(std::uint32_t stage) const;
  /// As wire/library_hash.h writes it; "" where nobody wanted anything.
  [[nodiscard]] std::string libraries_wanted(std::uint32_t unit) const;
  /// Their names, for a sentence.
  [[nodiscard]] std::string libraries_told(std::uint32_t unit) const;
  [[nodiscard]] bool runs_what_is_wanted(const Worker& worker) const;
  /// A worker of the unit, in whatever state, runs with another library than is wanted.
  [[nodiscard]] bool any_outdated(std::uint32_t unit) const;
  /// Workers are still to come or to go, or shards to move, until the unit runs as is wanted.
  [[nodiscard]] bool upgrading(std::uint32_t unit) const;
  void enter_library(std::uint32_t stage, const Upgraded& upgraded);
  /// Enters it in the journal, and whoever starts workers is told.
  void want_library(std::uint32_t stage, StageLibrary library, std::string why);
  /// False: there is no library to go back to by itself.
  bool go_back(std::uint32_t stage, const std::string& why);
  /// Whether this worker's giving up is no failure of the topology: it runs with a library that is not wanted any more,
  /// or its stages go back to the one before.
  bool laid_to_library(const Worker& worker, const std::string& why);
  void settle_upgrades();
  /// A worker has had records since then, or longer, and committed nothing: its deadline may be long.
  [[nodiscard]] bool stuck_since(std::uint32_t unit, Monotonic since) const;
  /// Only those that run what is wanted, if there are any.
  void keep_those_with_the_right_library(std::vector<Worker*>& workers) const;

  // core_trial.cc
  void hello_trial(const Client& client, const wire::WorkerHello& said, std::uint32_t stage, Monotonic now);
  /// The next shard's state goes to whoever is through with the one before.
  void go_on_trying();
  void on_tried(Worker& worker, const std::vector<wire::Lease>& taken);

  // core_balance.cc
  /// Who shares the shards of a unit: holders by number, those that stay first.
  struct Sharing {
    std::vector<Incarnation> holders;
    LeaseBalance balance;
    std::uint32_t staying = 0;
    std::uint32_t lanes_max = UINT32_MAX;  ///< that one of them takes: others of their kind are still to come
  };
  void look_at_loads();
  [[nodiscard]] Sharing sharing_of(std::uint32_t unit) const;
  /// Which shard is to move next, or is on its way.
  [[nodiscard]] std::optional<LeaseBalance::Move> next_move(std::uint32_t unit, const Sharing& sharing) const;
  /// How many shards, or splits of a source, are still to come to the workers that are to have them.
  [[nodiscard]] std::uint32_t shards_moving(std::uint32_t unit) const;

  // core_boundaries.cc
  /// What boundaries of a stream are learned from, and when they were looked at last.
  struct Learner {
    explicit Learner(std::size_t keys_max) : sample(keys_max) {}
    KeySample sample;
    std::uint64_t looked_at = 0;  ///< keys of the sample's, when the boundaries were looked at
    Monotonic moved{-1'000'000'000};
  };
  /// Records of one shard on their way into a frame.
  struct Dealt {
    std::uint32_t count = 0;
    std::int64_t origin_us = 0;
    Bytes records;
  };
  void learn_from(std::uint32_t stream, BytesView key);
  void learn_from(std::uint32_t stream, const wire::FrameView& frame);
  /// The boundaries of the stream are learned, or one of them moves, if it is time and worth it.
  void move_boundaries(std::uint32_t stream);
  void look_at_boundaries();
  /// The commit, with what it emits to streams that learn their boundaries dealt out by those in force: itself where it
  /// emits nothing there. Errors: kInvalid: what it emits cannot be read, or is more than an entry takes when it is not
  /// compressed.
  Result<Buffer> dealt_out(const Buffer& message, const wire::Commit& commit);
  /// Appends a frame with the same records, dealt out, to `out`; `learn`: and takes note of their keys. Takes what they
  /// need uncompressed off `room`. Errors: as above.
  Status deal_out(const wire::FrameView& frame, bool learn, std::uint64_t& room, Bytes& out);
  /// The unit has come to where its boundaries moved: nobody is to hold the lanes concerned until their state has
  /// followed.
  [[nodiscard]] bool withholds(const UnitState& unit) const;
  /// Does what is next for the unit to follow boundaries that moved.
  void relocate(std::uint32_t unit);
  /// Whose state is read under this number, and of which unit; null: it is not wanted any more.
  UnitLeases::Relocating* relocating(std::uint32_t number, std::uint32_t& unit);
  void on_relocated_state(const wire::StatePart& part);
  void on_relocated(RestoreJob job);
  void go_on_relocating(std::uint32_t unit);
  /// What has been read so far goes to the journal.
  void enter_relocated(std::uint32_t unit, Relocated::Step step);

  // core_follow.cc
  /// Stages whose number of workers follows their load get another one, if it is time.
  void follow_load();
  /// How busy the workers of a unit are; nothing while some of them are still to come or go, or the disk is full.
  [[nodiscard]] std::optional<LoadFollower::Sight> sight_of(std::uint32_t unit) const;

  // core_ahead.cc
  /// State of its shards goes ahead of their leases.
  [[nodiscard]] bool goes_ahead(const UnitState& unit) const;
  /// Whether `to` has the state of `lane`, as it was a moment ago; else it is on its way there.
  bool send_ahead(std::uint32_t unit, std::uint32_t lane, Worker& to);
  /// What was sent ahead is of no use any more.
  void call_off(std::uint32_t unit);
  /// The copy that the job reads is still wanted.
  [[nodiscard]] bool is_ahead(const RestoreJob& job);
  void on_state_ahead(Worker& worker, const wire::StatePart& part);
  void on_taken(Worker& worker, const std::vector<wire::Lease>& taken);

  // core_local.cc
  /// State of its lanes lies on the disk of its workers, too.
  [[nodiscard]] bool keeps_local(const UnitState& unit) const;
  void on_local(Worker& worker, const std::vector<wire::LocalState>& states);
  /// What lies on a worker's disk is part of the history, and all that came behind it is kept.
  [[nodiscard]] bool fits(const UnitState& unit, const wire::LocalState& local) const;
  void tell_durable();
  /// Everything so far goes to disk soon, whatever it asked for.
  void want_durable();

  // core_direct.cc
  [[nodiscard]] bool sends_to_peers(const UnitState& unit) const;
  [[nodiscard]] bool takes_from_peers(const UnitState& unit) const;
  [[nodiscard]] bool counts_arrivals(std::uint32_t stream) const {
    return weir::counts_arrivals(topology_.streams[stream].transport);
  }
  [[nodiscard]] bool is_published(std::uint32_t stream) const {
    return topology_.streams[stream].transport == Transport::kPubSub;
  }
  /// What is wrong with what the transaction takes from a peer; "" where it can be entered.
  [[nodiscard]] std::string judge_taken(const Worker& worker, const wire::DirectTaken& taken) const;
  /// What is wrong with whom it publishes to, if anything.
  [[nodiscard]] std::optional<std::string> judge_published(const Worker& worker, const wire::Commit& commit) const;
  /// Enters what it emits and takes past the broker into the accounts.
  void enter_direct(const Worker& worker, const wire::Commit& commit);
  /// Who begins to publish waits until its readers have taken what those before it had sent: order is kept over its
  /// stage's deaths.
  [[nodiscard]] bool may_publish_to(std::uint32_t stream, const Worker& worker) const;
  /// Streams whose readers are all there, or have been waited for long enough, are told to who publishes.
  void open_published();
  /// Its workers are told at once what of theirs is accepted, since others wait for their word.
  [[nodiscard]] bool acknowledges_peers(const UnitState& unit) const;
  /// Nobody who is gone can still send to a worker of the unit.
  [[nodiscard]] bool knows_its_peers(std::uint32_t unit) const;
  void lose_what_was_on_the_way();
  [[nodiscard]] std::vector<wire::Peer> peers_of(const Worker& worker) const;
  /// Tells those whose peers have changed.
  void tell_peers();
  void on_routed(Worker& worker, const wire::Routed& routed);
  /// It is no longer among the workers: what was on its way from it or to it will be lost. REQUIRES: is still there.
  void forget_peer(Incarnation incarnation);
  void enter_lost(const std::vector<Lost>& lost);
  /// Something that it emitted to peers is neither taken nor lost.
  [[nodiscard]] bool owes_peers(const Worker& worker) const;
  /// Nobody sends it anything more, and it has committed all that was sent.
  [[nodiscard]] bool parted_from_producers(const Worker& worker) const;
  /// Something may still come to it from peers: it is drained behind that.
  [[nodiscard]] bool waits_for_peers(const Worker& worker) const;
  void drain_behind_peers();

  // core_deliver.cc
  struct Piece;
  struct Delivery;
  void deliver(std::uint32_t unit, Monotonic now);
  void deliver_shards(Worker& worker);
  [[nodiscard]] std::uint64_t shards_under_way_max() const;
  bool deliver_shards_of(Worker& worker, std::uint32_t input, Delivery& delivery);
  void deliver_ranges(std::uint32_t unit);
  bool redeliver(std::uint32_t unit, std::uint32_t lane);
  Worker* choose(std::uint32_t unit, std::uint64_t bytes, std::uint64_t records, Dispatch dispatch);
  void flush(Worker& worker, Delivery& delivery);
  void send_watermarks(std::uint32_t unit);
  [[nodiscard]] bool publishes(const UnitState& unit) const {
    return unit.intake() == Intake::kSplits || takes_from_peers(unit);
  }
  struct PublishTerms {
    std::uint64_t window = 0;  ///< what each worker may have unsettled: of all that is to be under way its share
    std::uint64_t paced = 0;   ///< bytes a millisecond, of each source whose streams pile up
    std::uint64_t pile = 0;    ///< as HotFrames says
  };
  [[nodiscard]] PublishTerms publish_terms() const;
  void send_publish_credit(std::uint32_t unit, const PublishTerms& terms);
  void find_streams_behind();
  [[nodiscard]] bool blocked(const UnitState& unit) const;
  /// Whether a unit must add no records, since the disk is full and those behind it go first.
  [[nodiscard]] bool waits_for_space(const UnitState& unit) const;
  [[nodiscard]] bool full(std::uint32_t stream) const;
  [[nodiscard]] bool index_is_full() const;
  /// The frame's bytes, or nothing after asking for them.
  const Buffer* frame_bytes(std::uint32_t stream, std::uint64_t frame);
  void drop_passed_bytes();
  /// What nobody waits for is forgotten, as Ledger::release() says, and what memory held of it.
  void release(std::optional<std::int64_t> now_us = std::nullopt, std::size_t slots_max = SIZE_MAX);
  void raise_cursor_frames();
  [[nodiscard]] std::uint64_t scanned_to(std::uint32_t stream) const;

  // core_lanes.cc
  [[nodiscard]] bool by_priority(const UnitState& unit, std::uint32_t input) const;
  enum class InLane : std::uint8_t {
    kNothing,
    kUnread,  ///< something, in bytes that are being read back
    kRange,   ///< that of its walk
  };
  InLane find_in_lane(std::uint32_t unit, std::uint32_t lane);
  void deliver_lanes(std::uint32_t unit, std::uint32_t input);

  // core_letters.cc
  struct LetterAnswer {
    Client client;
    Sequence sequence;  ///< everything before it is settled when it may go
    Bytes answer;
  };
  std::optional<std::string> why_not_again(const LetterFound& found) const;
  /// Where its key lies now: boundaries may have moved since it failed.
  [[nodiscard]] std::uint32_t lane_of(const LetterFound& found) const;
  void settle_letters();
  void deliver_requeued(std::uint32_t unit);
  /// What a request about letters has come to.
  struct LettersMove {
    std::uint64_t moved = 0;
    std::uint64_t refused = 0;
    std::vector<std::string> sentences;
    Sequence durable;  ///< before which everything must be on disk
    void refuse(std::string sentence);
  };
  void move_kept_letters(const LetterRequest& request, LettersMove& move);
  void move_parked(const LetterRequest& request, LettersMove& move);
  [[nodiscard]] bool lane_ended(const UnitState& unit, std::uint32_t lane) const;

  // core_replay.cc
  void start_over(std::uint32_t unit);
  /// `worked_off`: the numbers that the transaction has named so far, to which those of `changes` are added.
  std::optional<std::string> judge_requeued(const Worker& worker, const wire::ChangesOf& changes,
                                            std::set<std::uint64_t>& worked_off) const;
  /// What was sent and is worked off is no longer under way.
  void forget_requeued(std::uint32_t unit);

  // core_suspect.cc
  void suspect(const Worker& worker, const FatalRecord& fatal);
  void suspect_direct(const Worker& worker, const FatalRecord& fatal);
  void tell_suspect(Worker& worker, const DirectSuspect& suspect);
  void clear_suspects(std::uint32_t unit, const wire::Commit& commit);
  /// Nothing that was sent to it is uncommitted.
  [[nodiscard]] bool idle(const Worker& worker) const;
  /// It gets nothing but what is delivered alone.
  [[nodiscard]] bool set_apart(const Worker& worker) const;
  void deliver_alone(std::uint32_t unit);
  void deliver_shard_alone(Worker& worker, Suspect& suspect);
  void deliver_range_alone(std::uint32_t unit, Suspect& suspect);
  void send_alone(Worker& worker, Suspect& suspect, std::uint32_t stream, Timestamp watermark, const Piece& piece);
  void condemn(Worker& worker, wire::Condemned condemned, std::uint32_t deaths, const std::string& cause);

  // core_producer.cc
  void open_session(const Client& client, const wire::MapReader& map, Monotonic now);
  void publish(const Client& client, const wire::MapReader& map, Monotonic now);
  void end_stream(const Client& client, const wire::MapReader& map);
  void tail(const Client& client, const wire::MapReader& map, Monotonic now);
  void settle(const Client& client, Session& session);
  void refuse(const Client& client, wire::Refusal refusal, std::string_view sentence, std::uint64_t number = 0);
  [[nodiscard]] std::optional<std::uint32_t> stream_named(const std::string& name) const;

  // core_consumers.cc
  void open_consumer(const Client& client, const wire::MapReader& map, Monotonic now);
  void take_consumer_credit(const Client& client, const wire::MapReader& map, Monotonic now);
  void acknowledge(const Client& client, const wire::MapReader& map, Monotonic now);
  void leave_group(const Client& client, const wire::MapReader& map);
  void drop_group(const Client& client, const wire::MapReader& map);
  /// The consumer whose session the message names; null, and refused, where it is not open.
  Consumer* consumer_of(const Client& client, const wire::MapReader& map);
  /// Tells it why, and gives its shards to others.
  void end_consumer(const Client& client, wire::Refusal refusal, std::string_view sentence);
  void forget_consumer(const Client& client);
  std::vector<std::uint32_t> forget_consumer_named(const Client& client, std::uint32_t stream, const std::string& group,
                                                   const std::string& name);
  static void give_lane(GroupLease::Lane& lane, const ExternalGroup::Cursor& from, Consumer& to);
  void serve_groups();
  void lease_group(GroupLease& lease);
  void deliver_group(GroupLease& lease);
  bool deliver_frame(Consumer& consumer, GroupLease& lease, Parcel& parcel);
  void send_parcel(const Client& client, Consumer& consumer, Parcel& parcel);
  void tell_end(GroupLease& lease);
  void settle_consumers();
  void raise_group_frames();
  [[nodiscard]] std::uint64_t consumers_scanned_to(std::uint32_t stream) const;

  // core_upkeep.cc
  void consider_checkpoint();
  void take_checkpoint();
  void finish_checkpoint();
  /// How long the longest tail of changes is, if the tails crowd the index; else SIZE_MAX.
  [[nodiscard]] std::size_t crowding_tail() const;
  void consider_compaction();
  void consider_copy();
  /// Nobody is reading it where it lies.
  [[nodiscard]] bool may_move(const CopyItem& item) const;
  /// Closed segments from the oldest that is needed, beyond which what is needed there is copied to the head.
  [[nodiscard]] std::uint64_t segments_worth() const;
  /// The journal holds more segments than what waits in it needs, and work is under way that will free them: what adds
  /// to it waits for that.
  [[nodiscard]] bool upkeep_lags() const;

  CoreOptions options_;
  Outside& outside_;
  Ledger ledger_;
  const Topology& topology_;  ///< the ledger's
  std::optional<Topology> revision_;
  std::string topology_text_;  ///< told to workers

  Reign reign_;
  std::uint32_t incarnations_ = 0;
  std::uint32_t copies_ahead_ = 0;
  Sequence settled_;
  Sequence written_;
  Sequence durable_;
  Monotonic now_{0};
  Monotonic serving_since_{0};
  Sequence began_;       ///< entries before it are of earlier reigns
  Sequence sync_asked_;  ///< entries before it are on their way to disk
  std::map<Incarnation, Worker> workers_;
  /// Units and processes of workers that have left since others have their place: the end of one is no restart.
  std::deque<std::pair<std::uint32_t, std::int64_t>> replaced_;
  std::vector<UnitLeases> leases_;
  std::map<Client, Session> sessions_;
  UnsettledBytes unsettled_;  ///< what producers outside have published
  std::map<Client, Tap> taps_;
  std::map<Client, Consumer> consumers_;
  std::map<std::pair<std::uint32_t, std::string>, GroupLease> group_leases_;  ///< of groups that somebody reads for
  DirectAccounts accounts_;
  PublishedAccounts published_;
  std::set<std::uint32_t> published_waiting_;  ///< streams whose readers were not all there yet
  bool peers_changed_ = false;
  std::map<std::uint32_t, LibraryVersion> in_file_;  ///< by stage: what the topology leads to
  /// State on its way to somebody who tries it.
  struct Trial {
    Sequence from;             ///< everything before it is part of the trial
    std::uint32_t lane = 0;    ///< that it has come to
    std::uint32_t number = 0;  ///< of the copy that is on its way; 0: none is
  };
  std::map<Incarnation, Trial> trials_;
  Monotonic drain_began_{0};
  std::deque<LetterAnswer> letter_answers_;
  std::uint64_t sessions_opened_ = 0;
  std::vector<wire::Sharding> sharding_;
  std::map<std::uint32_t, wire::HotKeySketch> sketches_;  ///< by stream, of what comes from outside
  std::map<std::uint32_t, Learner> learners_;             ///< by stream, of those that learn their boundaries
  std::vector<Dealt> dealt_;                              ///< by shard, of the frame at hand
  wire::Decompressor decompressor_;
  std::vector<std::vector<std::uint32_t>> behind_;  ///< by unit: all streams on the way of what it emits
  std::vector<bool> leaves_;                   ///< by stream: its records leave the system as soon as they are on disk
  std::vector<wire::Compressor> compressors_;  ///< by stream, of what comes from outside

  std::vector<std::pair<Incarnation, std::vector<std::uint32_t>>> restores_waiting_;  ///< for what is not written yet
  std::deque<RestoreJob> restores_paused_;  ///< until their worker has taken in what it was sent
  HotFrames hot_;
  std::uint64_t hot_bytes_left_ = 0;  ///< by drop_passed_bytes() when it was at work last
  std::uint32_t loads_ = 0;
  bool space_low_ = false;
  bool out_of_space_ = false;
  bool draining_ = false;
  bool drained_told_ = false;
  bool finished_told_ = false;
  bool finished_before_ = false;  ///< in an earlier life: durable, whatever this one has still to settle
  bool failed_ = false;
  bool stopping_ = false;
  Monotonic ticked_{0};

  Upkeep upkeep_;

  std::map<std::pair<std::uint32_t, std::uint32_t>, StageProbe> stage_probes_;
  std::vector<StreamProbe> stream_probes_;
  std::vector<std::uint64_t> restarts_;
  std::vector<bool> stage_failed_;
  std::int64_t started_us_ = 0;
};

}  // namespace weir::core
