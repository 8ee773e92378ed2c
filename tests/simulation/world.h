// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "broker/core/core.h"
#include "broker/journal/journal.h"
#include "broker/server/journal_reader.h"
#include "broker/server/keeper.h"
#include "tests/simulation/bug.h"
#include "tests/support/sim_disk.h"

namespace weir::simulation {

class ModelProducer;
class WorkerProcess;

/// What a seed makes of a run.
struct Plan {
  std::uint64_t seed = 0;
  std::uint64_t numbers = 0;  ///< emitted by the source, in all
  std::uint32_t keys = 0;
  std::uint32_t splits = 0;
  bool unkeyed_stage = false;   ///< a stage with unkeyed input between source and sum
  bool tallied = false;         ///< a stage with state of its own fused behind the sum
  bool poison = false;          ///< some numbers become dead letters of the sum
  std::uint32_t producers = 0;  ///< outside, each with a name
  std::uint64_t published = 0;  ///< messages of each producer
  bool drains = false;          ///< Ctrl-C now and then, and a new run
  bool full_disk = false;       ///< the disk is full now and then
  bool kills = true;            ///< processes die without their fault, freeze, or are told to drain
  bool disk_fails = false;      ///< writes, and where the power is cut too, syncs
  bool time_jumps = false;      ///< the machine stands still now and then, and time has passed
  bool resets = false;          ///< a worker's connections lose what is in flight, in silence
  bool killers = false;         ///< some numbers kill their worker whenever it comes to them
  bool requeues = false;        ///< a person has all dead letters worked on again, now and then
  bool slow_disk = false;       ///< a sync takes long, and much is decided meanwhile
  bool copies_early = false;    ///< what is needed in old segments is copied as soon as half of the journal is not
  bool power_cuts = false;      ///< only where streams ask for fsync
  bool bit_flips = false;       ///< in the newest checkpoint, now and then, while the broker is down
  std::uint32_t drops_per_million = 0;
  std::uint32_t doubles_per_million = 0;
  std::uint32_t kills_per_million = 0;  ///< of records: a worker is killed while it is at one, which is innocent
  Monotonic calm_from{0};               ///< no faults from here on
  Bug bug = Bug::kNone;

  /// Faults that were thought of later are left out for a smaller `era`, so that old seeds still give what they gave.
  static constexpr int kEra = 3;
  static Plan of(std::uint64_t seed, int era = kEra);

  [[nodiscard]] bool is_poison(std::uint64_t number) const { return poison && number % 97 == 13; }
  [[nodiscard]] bool is_killer(std::uint64_t number) const { return killers && number % 499 == 101; }
  [[nodiscard]] bool is_good(std::uint64_t number) const { return !is_poison(number) && !is_killer(number); }
  /// Message `k` (from 1) of a producer carries these numbers, in this order; all numbers of a topology differ.
  static constexpr std::uint64_t kNumbersPerMessage = 5;
  [[nodiscard]] std::uint64_t number_of(std::uint32_t producer, std::uint64_t message, std::uint64_t i) const {
    return numbers + producer * published * kNumbersPerMessage + (message - 1) * kNumbersPerMessage + i;
  }
  [[nodiscard]] std::uint64_t numbers_all() const { return numbers + producers * published * kNumbersPerMessage; }
};

struct Outcome {
  std::uint64_t trace = 0;  ///< hash of everything that happened, in order
  std::string problem;      ///< empty: all invariants held
  std::uint64_t events = 0;
  std::uint64_t broker_crashes = 0;
  std::uint64_t worker_deaths = 0;
  std::uint64_t fences = 0;
  std::uint64_t checkpoints = 0;
  std::uint64_t compactions = 0;
  std::uint64_t copies = 0;
  std::uint64_t frames_read = 0;
  std::uint64_t freezes = 0;
  std::uint64_t messages_dropped = 0;
  std::uint64_t messages_doubled = 0;
  std::uint64_t power_cuts = 0;
  std::uint64_t torn_writes = 0;  ///< a crash planned into the middle of the disk's work came
  std::uint64_t drains = 0;
  std::uint64_t disk_refusals = 0;  ///< an append that found no room
  std::uint64_t producer_deaths = 0;
  std::uint64_t messages_resent = 0;
  std::uint64_t checkpoints_damaged = 0;
  std::uint64_t failed_writes = 0;
  std::uint64_t failed_syncs = 0;
  std::uint64_t time_jumps = 0;
  std::uint64_t messages_reset = 0;  ///< in flight when their connection was
  std::uint64_t dead_letters = 0;
  std::uint64_t deaths_by_record = 0;
  std::uint64_t letters_requeued = 0;
  std::uint64_t fused_transactions = 0;
  Monotonic took{0};  ///< virtual
};

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
  [[nodiscard]] bool has(Bug bug) const { return plan_.bug == bug; }
  [[nodiscard]] const Topology& topology() const { return topology_; }
  [[nodiscard]] Monotonic now() const { return now_; }
  std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : random_() % bound; }
  void say_hello(const WorkerProcess& worker, Bytes message);
  void to_broker(std::int64_t pid, Bytes message);
  /// The process is gone; its parent notices, and starts another one.
  void exited(WorkerProcess& worker, const std::optional<core::FatalRecord>& fatal = std::nullopt);
  void problem(const std::string& what);
  Outcome& outcome() { return outcome_; }
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
    std::uint64_t owner = 0;                            ///< the newest tenure that opened it
    std::vector<std::array<std::uint64_t, 4>> records;  ///< key, count, sum, last
  };
  Target& target(std::uint32_t lane) { return targets_[lane]; }
  /// A fact that was said to be settled never goes back: `of` names it.
  void settled(const std::string& of, std::uint64_t value);
  /// The broker says what it knows of a producer.
  void remembered(const std::string& of, std::uint64_t value);
  [[nodiscard]] bool all_published() const;
  void restored(Incarnation incarnation, const std::string& of, std::uint64_t value);
  /// Records in the order of their offsets are the same for ever once they have left the broker for a sink.
  void delivered_to_sink(std::uint32_t shard, std::uint64_t offset, BytesView record);

  // core::Outside
  void append(Sequence sequence, bool checkpoint, Durability durability, core::Buffer payload) override;
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
  struct Entry {
    Sequence sequence;
    bool checkpoint = false;
    Durability durability{};
    core::Buffer payload;
  };
  struct Broker {
    std::unique_ptr<journal::Journal> journal;
    std::unique_ptr<server::JournalReader> reader;
    std::unique_ptr<server::Keeper> keeper;
    std::unique_ptr<core::Core> core;
    std::vector<Entry> queue;
    bool writing = false;
    bool full = false;  ///< the last append found no room
    bool unsynced = false;
    bool needs_sync = false;
    bool sync_wanted = false;
    Monotonic synced{0};
    Lane mailbox{0};
    Lane reader_lane{0};
    Lane keeper_lane{0};
    Lane checkpoints_lane{0};
    std::map<Incarnation, std::pair<std::int64_t, Lane>> inboxes;
  };

  void later(Monotonic delay, Action action) { events_.push({now_ + delay, order_++, std::move(action)}); }
  void in_lane(Lane& lane, Monotonic delay, Action action);
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
  /// Some stream has as much waiting as it may have.
  [[nodiscard]] bool backlog_is_full();

  void start_broker();
  void crash_broker();
  /// A bit of the newest checkpoint flips, where the one before it must do.
  void damage_checkpoint();
  void plan_faults();
  /// Faults of the machine: its disk, its clock, its connections.
  void plan_trouble();
  /// A message between the broker and a worker arrives, unless its connection was reset since.
  Action in_flight(std::int64_t pid, Action arrive);
  void tick();
  void work(std::int64_t pid);
  void start_worker(std::uint32_t stage, std::uint32_t index);
  void start_workers();
  void drained();
  void produce(std::uint32_t producer);
  void answer_duplicate(const core::Client& client, BytesView message);
  /// A person asks for all dead letters to be worked on again.
  void requeue();
  void write_group();
  void sync_group();
  /// A failure that the disk's crash explains ends the broker; any other is a problem.
  void failed(const Error& error, std::string_view where);
  void check_end();
  void check_dead_letters();

  const Plan plan_;
  Topology topology_;
  std::mt19937_64 random_;
  std::mt19937_64 damage_;  ///< apart, so that what else happens stays as it was
  test::SimDisk disk_;
  Monotonic now_{0};
  std::uint64_t order_ = 0;
  std::priority_queue<Event> events_;
  std::unique_ptr<Broker> broker_;
  std::uint64_t life_ = 0;
  bool crash_due_ = false;
  bool finished_ = false;
  std::int64_t pids_ = 0;
  std::map<std::int64_t, std::unique_ptr<WorkerProcess>> workers_;
  std::map<std::int64_t, Lane> to_broker_;
  std::map<std::int64_t, std::uint64_t> resets_;  ///< of each worker's connections
  std::map<std::int64_t, std::uint64_t> unseen_;  ///< Bug::kGapUnseen: numbers that were left out
  std::vector<std::unique_ptr<ModelProducer>> producers_;
  std::map<core::Client, Lane> asked_;
  std::map<core::Client, std::uint64_t> published_;  ///< Bug::kDuplicateAnswered: the highest number that came
  std::map<std::uint32_t, Target> targets_;
  std::set<std::string> damaged_;  ///< checkpoint files
  std::map<std::string, std::uint64_t> settled_;
  std::map<std::pair<std::uint32_t, std::uint64_t>, Bytes> left_;
  Outcome outcome_;
};

}  // namespace weir::simulation
