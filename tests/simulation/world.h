// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "broker/core/core.h"
#include "broker/journal/journal.h"
#include "broker/server/gathering.h"
#include "broker/server/journal_reader.h"
#include "broker/server/keeper.h"
#include "tests/simulation/committed.h"
#include "tests/simulation/letters_asked.h"
#include "tests/simulation/outcome.h"
#include "tests/simulation/output.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/replays_asked.h"
#include "tests/simulation/scales_asked.h"
#include "tests/support/sim_disk.h"
#include "tests/support/sim_local_disk.h"

namespace weir::simulation {

class ModelProducer;
class WorkerProcess;

/// One run: the real core, journal, reader and keeper on a simulated disk and clock, workers that speak the real
/// messages, and chance that delays, drops, doubles and kills. One thread; the same plan gives the same trace.
///
/// The oracle knows the numbers and nothing of the broker: every number counts once, in the state and in the target.
class World final : public core::Outside {
 public:
  explicit World(const Plan& plan);
  ~World() override;
  Outcome run();

  // For workers.
  [[nodiscard]] const Plan& plan() const { return plan_; }
  test::SimLocalDisk& local_disk() { return local_disk_; }
  [[nodiscard]] bool has(Bug bug) const { return plan_.bug == bug; }
  [[nodiscard]] const Topology& topology() const { return *topologies_.back(); }
  [[nodiscard]] Monotonic now() const { return now_; }
  [[nodiscard]] std::int64_t wall_us() const { return kStartedUs + now_.count() + clock_set_; }
  std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : random_() % bound; }
  void say_hello(const WorkerProcess& worker, Bytes message);
  void to_broker(std::int64_t pid, Bytes message);
  /// What a worker of the stage that starts now is to run, as it says in its hello; before the last decision where that
  /// is asked for. "" where nobody upgrades anything.
  [[nodiscard]] std::string libraries_of(std::uint32_t host, bool before = false) const;
  /// From a worker to the inbox of another one.
  void to_peer(std::int64_t from, std::int64_t to, Bytes message);
  /// The process is gone; its parent notices, and starts another one.
  void exited(WorkerProcess& worker, const std::optional<core::FatalRecord>& fatal = std::nullopt);
  /// The incarnation is not one of those that the broker serves, or, where there is none, that the last one served. One
  /// that died as soon as it had started served nobody, and yet its start has taken back what was not on disk.
  [[nodiscard]] bool has_no_rights(Incarnation::number_type incarnation) const {
    return inboxes_.count(Incarnation(incarnation)) == 0;
  }
  /// Workers of the stage do nothing, nor does anything speak for them.
  [[nodiscard]] bool stands_still(std::uint32_t stage) const {
    return now_ < sinks_stand_until_ && topology_.stages[stage].kind == PluginKind::kSink;
  }
  void problem(const std::string& what);
  Outcome& outcome() { return outcome_; }
  /// A split is to go from the worker to another, or has just come to it.
  void split_moves(const WorkerProcess& worker);
  /// The source of the worker acknowledges outside what comes before `position`.
  void acknowledged(const WorkerProcess& worker, const std::string& split, std::uint64_t position);
  /// Nobody but the worker reads the split.
  void check_alone(const WorkerProcess& worker, std::uint32_t split);
  /// Something goes wrong now, with this probability, unless calm has come.
  [[nodiscard]] bool chance(std::uint32_t per_million) {
    return now_ < plan_.calm_from && below(1'000'000) < per_million;
  }
  static constexpr std::uint32_t kDeathsPerMillionCommits = 1000;
  static constexpr std::int64_t kStartedUs = 1'700'000'000'000'000;  ///< wall clock at the beginning
  /// From a producer, whose connection loses and doubles messages, to the broker's ROUTER.
  void ask(const core::Client& client, Bytes message);

  /// The target of the sink, which outlives all processes.
  struct Target {
    struct Record {
      std::uint64_t key = 0;
      std::uint64_t count = 0;
      std::uint64_t sum = 0;
      bool last = false;
      std::uint32_t shard = 0;  ///< of the sink's input
      std::uint64_t offset = 0;
      std::optional<Origin> origin;  ///< where the sum had the number from

      friend bool operator==(const Record&, const Record&) = default;
    };
    std::uint64_t owner = 0;  ///< the newest tenure that opened it
    std::vector<Record> records;
  };
  static constexpr std::uint32_t kExtraTargets = 1000;  ///< those of the sink that comes and goes start here
  Target& target(std::uint32_t lane) { return targets_[lane]; }
  /// A sink has just written the last record of its target.
  void check_written(std::uint32_t lane);
  [[nodiscard]] const Committed& committed() const { return committed_; }
  /// The number, which is not good, fails, or kills, this time too.
  bool fails(std::uint64_t number) { return failures_[number]++ < plan_.fails(number); }
  /// It was a letter that left its key behind, and may come at any time.
  [[nodiscard]] bool was_kept(std::uint64_t number) const { return letters_.kept.contains(number); }
  /// Some number of `key` is not good.
  [[nodiscard]] bool may_park(std::uint64_t key) const { return bad_keys_.contains(key); }
  /// A fact that was said to be settled never goes back: `of` names it.
  void settled(const std::string& of, std::uint64_t value);
  /// The broker says what it knows of a producer.
  void remembered(const std::string& of, std::uint64_t value);
  [[nodiscard]] bool all_published() const;
  void restored(Incarnation incarnation, const std::string& of, std::uint64_t value);
  /// Records in the order of their offsets are the same for ever once they have left the broker for a sink.
  void delivered_to_sink(std::uint32_t stream, std::uint32_t shard, std::uint64_t offset, BytesView record);

  // core::Outside
  void append(core::NewEntry entry) override;
  void sync() override;
  void connect(Incarnation incarnation, const std::string& inbox) override;
  void disconnect(Incarnation incarnation) override;
  void send(Incarnation incarnation, Bytes message) override;
  void reply(const core::Client& client, Bytes message) override;
  void read_frame(std::uint32_t stream, std::uint64_t frame, core::Place place) override;
  void restore(core::RestoreJob job) override;
  void compact(core::CompactJob job) override;
  void copy(core::CopyJob job) override;
  void write_checkpoint(core::CheckpointJob job) override;
  void notify(core::Notice notice) override;

 private:
  using Action = std::function<void()>;
  struct Event {
    Monotonic at{0};
    std::uint64_t order = 0;
    Action action;
    friend bool operator<(const Event& a, const Event& b) {  // the earliest is the largest
      return a.at != b.at ? a.at > b.at : a.order > b.order;
    }
  };
  /// What comes one behind the other.
  using Lane = Monotonic;
  struct Broker {
    std::unique_ptr<journal::Journal> journal;
    std::unique_ptr<server::JournalReader> reader;
    std::unique_ptr<server::Keeper> keeper;
    std::unique_ptr<core::Core> core;
    server::Gathering gathering;
    std::vector<core::NewEntry> queue;
    bool writing = false;
    bool full = false;  ///< the last append found no room
    bool unsynced = false;
    bool needs_sync = false;
    bool sync_wanted = false;
    std::optional<journal::SyncUnderWay> under_way;
    std::uint64_t under_way_covers = 0;  ///< blocks of the disk that were written when it began
    Monotonic synced{0};
    Lane mailbox{0};
    Lane reader_lane{0};
    Lane keeper_lane{0};
    Lane checkpoints_lane{0};
    int copies = 0;  ///< under way
  };

  void later(Monotonic delay, Action action) { events_.push({now_ + delay, order_++, std::move(action)}); }
  void in_lane(Lane& lane, Monotonic delay, Action action);
  /// The same for what goes from process to process: now and then it comes late, and what follows behind it.
  void on_connection(Lane& lane, Monotonic delay, Action action);
  /// A message that was sent as the `sent`th of all to the broker comes to it.
  void count_overtaken(std::uint64_t sent);
  /// Happens unless the broker has died before.
  void in_broker(Lane& lane, Monotonic delay, Action action);
  void post(Action action) { in_broker(broker_->mailbox, micros(200), std::move(action)); }
  [[nodiscard]] Monotonic micros(std::uint64_t most) { return Monotonic(below(most) + 1); }
  void trace(std::string_view what, std::uint64_t number, BytesView bytes = {});
  void with_core(const Action& action);
  /// The call of a component that a bug keeps from syncing its files.
  template <typename Call>
  auto without_syncs(Bug bug, Call call) {
    disk_.lie_about_syncs(has(bug));
    auto result = call();
    disk_.lie_about_syncs(false);
    return result;
  }
  void check(const std::string& wrong) {
    if (!wrong.empty()) problem(wrong);
  }
  /// What goes to a sink is there for good.
  void check_sent(const WorkerProcess& worker, BytesView message);
  /// So is what a producer is told of.
  void check_told(const core::Client& producer, BytesView message);
  /// What a transaction says of a target lies there.
  void check_positions();
  /// Some stream has as much waiting as it may have.
  [[nodiscard]] bool backlog_is_full();

  static constexpr const char* kPerson = "person";

  void start_broker();
  void crash_broker();
  /// Starts from a copy of the disk in which a bit is another (SecondHistory).
  void start_from_damage();
  /// A bit of the newest checkpoint flips, where the one before it must do.
  void damage_checkpoint();
  void plan_faults();
  /// The disk is full for minutes. At first the sinks stand still, so that everything before them does in the end; then
  /// they go on, and what waits is worked off where the reserves suffice; then there is room again.
  void fill_disk();
  void sinks_go_on();
  void free_disk();
  [[nodiscard]] bool disk_is_full() const { return now_ < full_until_; }
  /// Somebody sets the machine's clock.
  void set_clock();
  /// A file is about to be written in the background: now and then the broker dies amid it.
  void plan_crash_in_job();
  /// Faults of the machine: its disk, its clock, its connections.
  void plan_trouble();
  /// A message between the broker and a worker arrives, unless its connection was reset since.
  Action in_flight(std::int64_t pid, Action arrive);
  void tick();
  void work(std::int64_t pid);
  void start_worker(std::uint32_t stage, std::uint32_t index);
  void start_workers();
  void drained();

  // scaling.cc
  /// A person gives a stage another number of workers.
  void scale();
  void answered_about_workers(const core::Client& client, const wire::MapReader& answer);
  /// A broker that starts finds the numbers that a person was told last, or asked for since.
  void check_workers();
  /// As the launcher knows it.
  [[nodiscard]] std::uint32_t wanted_workers(std::uint32_t stage) const;
  /// One with the library that is wanted now.
  [[nodiscard]] bool is_there(std::uint32_t stage, std::uint32_t index) const;
  /// Starts who is wanted and not there.
  void launch_missing();
  void start_worker_later(std::uint32_t stage, std::uint32_t index);

  // upgrading.cc
  /// A person gives a stage another version of its library, or has it go back.
  void upgrade();
  /// Its workers cannot live with the new one, says the launcher.
  void fail_upgrade();
  void answered_about_library(const core::Client& client, const wire::MapReader& answer);
  /// A broker that starts finds the libraries that were chosen last, or asked for since.
  void check_libraries();
  /// What the topology leads to, as a launcher says behind a start.
  void say_libraries();
  [[nodiscard]] std::uint32_t library_found(std::uint32_t stage) const;
  /// A shard that a worker with the library that is wanted has had goes to none with another.
  void check_grants(const WorkerProcess& worker, BytesView message);

  // changes.cc
  /// Ctrl-C.
  void stop();
  void change_topology();
  /// The broker that starts goes on under the topology that is wanted.
  void revise_topology();
  static bool has_extra(const Topology& topology);
  /// The sink that comes and goes has each record from where it began.
  void check_extra();
  void produce(std::uint32_t producer);
  void answer_duplicate(const core::Client& client, BytesView message);

  // operations.cc
  /// A person has dead letters worked on again, or drops some.
  void move_letters();
  void ask_about_letters(core::LetterRequest request, const std::set<std::uint64_t>& numbers);
  /// Numbers of all dead letters and parked records. Anything but one letter a number is a problem.
  std::optional<std::set<std::uint64_t>> list_letters(
      const std::function<void(const server::JournalReader::Letter&, std::uint64_t number)>& visit);
  void answered(const core::Client& client, BytesView message);
  void answered_about_letters(const core::Client& client, const wire::MapReader& answer);
  /// A person has a stage work off again what it has consumed.
  void replay();
  void ask_for_replay(core::ReplayRequest request);
  [[nodiscard]] core::ReplayRequest wanted_replay();
  void write_gathered();
  void write_soon();
  void write_group();
  void begin_sync();
  void sync_group();
  /// A failure that the disk's crash explains ends the broker; any other is a problem.
  void failed(const Error& error, std::string_view where);
  void check_end();
  /// The sinks' records, each once, in the order of their stream; what comes again does so because of a replay.
  std::optional<std::map<std::pair<std::uint32_t, std::uint64_t>, Target::Record>> check_targets();
  /// Each number is in the output, or a letter, or was dropped by a person.
  void check_accounts(const Output& output);

  const Plan plan_;
  std::mt19937_64 random_;
  Topology topology_;                                  ///< that the directory begins with
  std::vector<std::unique_ptr<Topology>> topologies_;  ///< as workers saw them one after the other; the dead look too
  std::optional<Topology> wanted_;                     ///< by a person, since the first change
  bool launch_due_ = false;                            ///< workers are to be started once the broker has the new one
  bool extra_seen_ = false;
  std::mt19937_64 damage_;   ///< apart, so that what else happens stays as it was
  std::mt19937_64 flips_;    ///< the same
  std::mt19937_64 wishes_;   ///< of a person; as above
  std::mt19937_64 trouble_;  ///< as above: faults that came later
  test::SimDisk disk_;
  test::SimLocalDisk local_disk_;  ///< those of all workers' machines
  Monotonic now_{0};
  std::int64_t clock_set_ = 0;  ///< by how many microseconds the machine's clock was set, in all
  Monotonic full_until_{0};
  Monotonic sinks_stand_until_{0};
  std::uint64_t sent_ = 0;          ///< messages to the broker
  std::uint64_t sent_arrived_ = 0;  ///< the latest of those that have come
  std::uint64_t order_ = 0;
  std::priority_queue<Event> events_;
  std::unique_ptr<Broker> broker_;
  std::uint64_t life_ = 0;
  Sequence durable_before_;  ///< what the last sync but one has covered, and every start must find
  Sequence durable_;         ///< what the last one has
  Reign reign_before_;       ///< Bug::kIncarnationReused
  bool crash_due_ = false;
  bool finished_ = false;
  std::int64_t pids_ = 0;
  std::uint64_t launch_ = 0;  ///< whoever started the workers of one before starts none of them again
  std::map<std::int64_t, std::unique_ptr<WorkerProcess>> workers_;
  std::map<std::int64_t, Lane> to_broker_;
  std::map<std::pair<std::int64_t, std::int64_t>, Lane> to_peer_;
  std::map<std::int64_t, std::uint64_t> resets_;  ///< of each worker's connections
  std::map<std::int64_t, std::uint64_t> unseen_;  ///< Bug::kGapUnseen: numbers that were left out
  std::vector<std::unique_ptr<ModelProducer>> producers_;
  std::map<core::Client, Lane> asked_;
  std::map<core::Client, std::uint64_t> published_;  ///< Bug::kDuplicateAnswered: the highest number that came
  std::map<std::uint32_t, Target> targets_;
  std::map<std::uint64_t, std::uint64_t> failures_;  ///< so far, by number
  std::set<std::uint64_t> bad_keys_;
  LettersAsked letters_;
  ReplaysAsked replays_;
  ScalesAsked scales_;
  std::map<std::string, std::uint64_t> acknowledged_;       ///< outside, by split
  ScalesAsked upgrades_;                                    ///< versions of libraries in place of numbers of workers
  std::map<std::uint32_t, std::uint32_t> versions_;         ///< that were chosen, by stage, as the broker has said
  std::map<std::uint32_t, std::uint32_t> versions_before_;  ///< and what they were before that
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::string>
      had_by_;                                                    ///< what its last holder runs, by stage, shard
  std::map<std::uint32_t, std::uint32_t> workers_told_;           ///< by the broker, by stage: how many it is to have
  std::set<std::uint32_t> stages_finished_;                       ///< so it has said
  std::set<std::pair<std::uint32_t, std::uint32_t>> starts_due_;  ///< stage and number of workers
  std::uint64_t wishes_said_ = 0;
  std::set<std::string> damaged_;  ///< checkpoint files
  Committed committed_;
  std::map<Incarnation, std::pair<std::int64_t, Lane>>
      inboxes_;                        ///< of whom the broker serves: the process, and the way to it
  std::uint64_t accepted_before_ = 0;  ///< while the disk is full: records, some time ago
  std::uint64_t sunk_before_ = 0;      ///< the same
  bool waits_for_room_ = false;
  std::map<std::string, std::uint64_t> settled_;
  std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint64_t>, Bytes> left_;
  Outcome outcome_;
};

}  // namespace weir::simulation
