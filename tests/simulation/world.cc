// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/world.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "broker/journal/recovery.h"
#include "broker/server/letter_found.h"
#include "broker/server/replay.h"
#include "sdk/wire/map.h"
#include "tests/simulation/model_producer.h"
#include "tests/simulation/worker_process.h"
#include "weir/value.h"

namespace weir::simulation {

using namespace std::chrono_literals;

namespace {

constexpr Monotonic kTick = 10ms;
constexpr Monotonic kDeadline = 300s;
constexpr const char* kPerson = "person";

Topology topology_of(const Plan& plan, std::mt19937_64& random) {
  Topology topology;
  topology.name = "simulated";
  topology.broker.segment_bytes = random() % 2 == 0 ? 32 << 10 : 64 << 10;
  topology.broker.memory_bytes = 1 << 20;
  topology.broker.transaction_bytes_max = 8 << 10;
  topology.broker.interval = 50ms;
  const Durability durability = plan.power_cuts     ? Durability::kFsync
                                : random() % 2 == 0 ? Durability::kNone
                                                    : Durability::kInterval;
  topology.broker.durability = durability;
  const auto stream = [&](std::string name, PartitionBy partition, std::uint32_t shards) {
    Stream added;
    added.name = std::move(name);
    added.partition = partition;
    added.shards = shards;
    added.durability = durability;
    added.backlog_bytes_max = random() % 2 == 0 ? 4 << 10 : 1 << 20;
    topology.streams.push_back(std::move(added));
  };
  const auto stage = [&](std::string name, PluginKind kind, std::uint32_t workers, int in, int out) {
    StageSpec added;
    added.name = added.plugin = std::move(name);
    added.kind = kind;
    added.workers = workers;
    if (in >= 0) added.inputs.push_back({"in", static_cast<std::uint32_t>(in)});
    if (out >= 0) added.outputs.push_back({"out", static_cast<std::uint32_t>(out)});
    added.host = static_cast<std::uint32_t>(topology.stages.size());
    added.dead_letter_bytes_max = 1 << 20;
    added.memory_bytes = 256 << 10;
    added.commit_after = Monotonic(random() % 3 == 0 ? 0 : random() % 50'000);
    added.retries = static_cast<std::uint32_t>(random() % 3);
    topology.stages.push_back(std::move(added));
  };
  const auto workers = [&] { return static_cast<std::uint32_t>(1 + random() % 3); };
  stream("numbers", PartitionBy::kHash, static_cast<std::uint32_t>(1 + random() % 6));
  stream("sums", PartitionBy::kHash, static_cast<std::uint32_t>(1 + random() % 3));
  if (plan.unkeyed_stage) stream("raw", PartitionBy::kNone, static_cast<std::uint32_t>(1 + random() % 3));
  stage("numbers", PluginKind::kSource, workers(), -1, plan.unkeyed_stage ? 2 : 0);
  if (plan.unkeyed_stage) stage("pass", PluginKind::kStage, workers(), 2, 0);
  stage("sum", PluginKind::kStage, workers(), 0, 1);
  topology.stages.back().keyed = true;
  const auto sum = static_cast<std::uint32_t>(topology.stages.size() - 1);
  if (plan.producers != 0) {
    stream("outside", PartitionBy::kHash, topology.streams[0].shards);
    topology.streams.back().external_in = true;
    topology.stages[sum].inputs.push_back({"in", static_cast<std::uint32_t>(topology.streams.size() - 1)});
  }
  if (plan.tallied) {
    stream("steps", PartitionBy::kNone, 1);
    topology.streams.back().transport = Transport::kFused;
    const auto steps = static_cast<std::uint32_t>(topology.streams.size() - 1);
    topology.stages[sum].outputs.front().stream = steps;
    topology.stages[sum].key_preserving = true;
    stage("tally", PluginKind::kStage, topology.stages[sum].workers, static_cast<int>(steps), 1);
    topology.stages.back().keyed = true;
    topology.stages.back().host = sum;
  }
  stage("out", PluginKind::kSink, workers(), 1, -1);
  if (random() % 2 == 0) {
    topology.stages.back().sharing = Sharing::kShard;
    topology.stages.back().plugin = "out_by_shard";
  }
  return topology;
}

}  // namespace

Plan Plan::of(std::uint64_t seed, int era) {
  std::mt19937_64 random(seed ^ 0x9e3779b97f4a7c15);
  Plan plan;
  plan.seed = seed;
  plan.numbers = 200 + random() % 6000;
  plan.keys = static_cast<std::uint32_t>(1 + random() % 300);
  plan.splits = static_cast<std::uint32_t>(1 + random() % 4);
  plan.unkeyed_stage = random() % 2 == 0;
  plan.tallied = random() % 3 == 0;
  plan.poison = random() % 3 == 0;
  plan.producers = static_cast<std::uint32_t>(random() % 3);
  plan.published = 1 + random() % 200;
  plan.drains = random() % 3 == 0;
  plan.full_disk = random() % 3 == 0;
  plan.copies_early = random() % 2 == 0;
  plan.power_cuts = random() % 2 == 0;
  plan.drops_per_million = random() % 3 == 0 ? 0 : 500;
  plan.doubles_per_million = random() % 3 == 0 ? 0 : 20'000;
  plan.calm_from = std::chrono::milliseconds(random() % 8000);
  plan.bit_flips = random() % 3 == 0 && era >= 2;
  plan.slow_disk = random() % 3 == 0 && era >= 2;
  plan.killers = random() % 4 == 0 && era >= 3;
  plan.requeues = random() % 4 == 0 && era >= 3;
  plan.kills = random() % 8 != 0 || era < 3;
  plan.kills_per_million = plan.kills && era >= 3 ? 200 : 0;
  plan.disk_fails = random() % 3 == 0 && era >= 3;
  plan.time_jumps = random() % 4 == 0 && era >= 3;
  plan.resets = random() % 3 == 0 && era >= 3;
  return plan;
}

World::World(const Plan& plan) : plan_(plan), random_(plan.seed), damage_(plan.seed + 2), disk_(plan.seed + 1) {
  topology_ = topology_of(plan, random_);
}

World::~World() = default;

Outcome World::run() {
  start_broker();
  start_workers();
  for (std::uint32_t producer = 0; producer < plan_.producers; ++producer) {
    producers_.push_back(std::make_unique<ModelProducer>(*this, producer));
    later(micros(300'000), [this, producer] { produce(producer); });
  }
  later(kTick, [this] { tick(); });
  if (plan_.requeues) later(micros(3'000'000), [this] { requeue(); });
  if (plan_.disk_fails || plan_.time_jumps || plan_.resets)
    later(Monotonic(static_cast<std::int64_t>(damage_() % 1'000'000)), [this] { plan_trouble(); });
  if (plan_.kills && plan_.calm_from > 0ms) later(micros(500'000), [this] { plan_faults(); });
  while (!events_.empty() && outcome_.problem.empty() && !finished_) {
    Event event = events_.top();
    events_.pop();
    now_ = std::max(now_, event.at);  // after a jump of time much is late
    ++outcome_.events;
    event.action();
    if (crash_due_ && !finished_) crash_broker();
    if (now_ > kDeadline) {
      problem("it did not finish: " + (broker_ && broker_->core ? broker_->core->status_text() : "no broker"));
    }
  }
  if (outcome_.problem.empty()) check_end();
  outcome_.took = now_;
  return outcome_;
}

void World::in_lane(Lane& lane, Monotonic delay, Action action) {
  lane = std::max(lane, now_ + delay);
  later(lane - now_, std::move(action));
}

void World::in_broker(Lane& lane, Monotonic delay, Action action) {
  in_lane(lane, delay, [this, life = life_, action = std::move(action)] {
    if (broker_ && life == life_) action();
  });
}

void World::trace(std::string_view what, std::uint64_t number, BytesView bytes) {
  const auto mix = [&](const void* data, std::size_t size) {
    const auto* at = static_cast<const unsigned char*>(data);
    for (std::size_t i = 0; i < size; ++i) outcome_.trace = (outcome_.trace ^ at[i]) * 1099511628211ULL;
  };
  const auto time = now_.count();
  mix(&time, sizeof(time));
  mix(what.data(), what.size());
  mix(&number, sizeof(number));
  mix(bytes.data(), bytes.size());
  if (static const bool shown = std::getenv("WEIR_TRACE") != nullptr; shown) {
    std::printf("%lld %.*s %llu %zu bytes, %016llx\n", static_cast<long long>(time), static_cast<int>(what.size()),
                what.data(), static_cast<unsigned long long>(number), bytes.size(),
                static_cast<unsigned long long>(outcome_.trace));
  }
}

void World::problem(const std::string& what) {
  if (outcome_.problem.empty()) outcome_.problem = what + " (at " + std::to_string(now_.count()) + " us)";
}

void World::with_core(const Action& action) {
  if (!broker_ || !broker_->core) return;
  action();
  broker_->core->pump(now_);
}

// The broker's life.

void World::start_broker() {
  ++life_;
  broker_ = std::make_unique<Broker>();
  trace("broker", life_);
  if (plan_.bit_flips && life_ > 1 && damage_() % 3 == 0) damage_checkpoint();
  if (life_ > 1 && !finished_ && plan_.kills && chance(200'000)) disk_.crash_after(1 + below(10));
  journal::JournalOptions options;
  options.segment_bytes = topology_.broker.segment_bytes;
  options.seed = random_();
  journal::Recovery found;
  auto journal = without_syncs(Bug::kTailServedUnsynced, [&] { return journal::Journal::open(disk_, options, found); });
  if (!journal.ok() && journal.error().code == Code::kDiskFull) {
    ++outcome_.disk_refusals;
    broker_.reset();
    return later(micros(200'000), [this] { start_broker(); });
  }
  if (!journal.ok()) return failed(journal.error(), "open");
  broker_->journal = std::move(*journal);
  core::CoreOptions core_options;
  core_options.beat = 200ms;
  core_options.silence = 2s;
  core_options.settle_in = 200ms;
  if (plan_.copies_early) core_options.segments_slack = 2;
  core_options.commits_endpoint = "commits";
  broker_->core = std::make_unique<core::Core>(topology_, core_options, *this);
  const Status replayed = server::replay(*broker_->journal, found, broker_->core->ledger());
  if (!replayed.ok()) return failed(replayed.error(), "replay");
  broker_->reader = std::make_unique<server::JournalReader>(*broker_->journal, disk_);
  broker_->keeper = std::make_unique<server::Keeper>(*broker_->journal, disk_);
  const Reign reign = has(Bug::kReignReused) ? Reign(1) : found.reign;
  broker_->core->start(reign, {broker_->journal->segment_oldest(), broker_->journal->segment_newest()}, now_);
  broker_->core->pump(now_);
}

void World::crash_broker() {
  crash_due_ = false;
  ++outcome_.broker_crashes;
  const bool power = plan_.power_cuts && below(2) == 0;
  trace(power ? "power cut" : "broker killed", life_);
  broker_.reset();
  outcome_.torn_writes += disk_.crashed() ? 1 : 0;
  if (power) {
    ++outcome_.power_cuts;
    disk_.power_cut();
  } else {
    disk_.kill();
  }
  later(micros(200'000), [this] { start_broker(); });
  // Whoever started the workers starts them over.
  for (const auto& [pid, worker] : workers_) {
    later(micros(400'000), [this, pid = pid] {
      const auto found = workers_.find(pid);
      if (found == workers_.end() || !found->second->alive()) return;
      found->second->die();
      exited(*found->second);
    });
  }
}

void World::damage_checkpoint() {
  journal::History history;
  auto files = journal::open_segment_files(disk_, history.bytes_read);
  if (!files.ok() || !journal::read_history(disk_, *files, history).ok()) return;  // the start says so, or finds room
  if (!history.checkpoint_newest || !history.checkpoint_before) return;
  const std::string newest = journal::checkpoint_file_name(*history.checkpoint_newest);
  // Weir outlives one damaged checkpoint, not two in a row.
  if (damaged_.contains(journal::checkpoint_file_name(*history.checkpoint_before)) || !damaged_.insert(newest).second)
    return;
  disk_.flip_bit(newest, damage_() % history.checkpoint_newest->file_bytes, static_cast<int>(damage_() % 8));
  ++outcome_.checkpoints_damaged;
  trace("damaged", history.checkpoint_newest->through.value());
}

void World::plan_trouble() {
  if (now_ >= plan_.calm_from) return;
  if (plan_.disk_fails && broker_ && damage_() % 2 == 0) {
    // Where streams do not ask for fsync, what a failed sync takes was acknowledged rightly.
    if (plan_.power_cuts && damage_() % 3 != 0) {
      disk_.fail_sync(1 + damage_() % 5,
                      damage_() % 2 == 0 ? test::SimDisk::Pages::kKept : test::SimDisk::Pages::kEvicted);
    } else {
      disk_.fail_write(1 + damage_() % 10);
    }
  }
  if (plan_.time_jumps && damage_() % 3 == 0) {
    ++outcome_.time_jumps;
    now_ += Monotonic(static_cast<std::int64_t>(damage_() % 6'000'000));
    trace("jump", 0);
  }
  for (const auto& [pid, worker] : workers_) {
    if (!plan_.resets || damage_() % 2 == 0) continue;
    ++resets_[pid];
    trace("reset", static_cast<std::uint64_t>(pid));
  }
  later(Monotonic(static_cast<std::int64_t>(damage_() % 1'000'000)), [this] { plan_trouble(); });
}

World::Action World::in_flight(std::int64_t pid, Action arrive) {
  return [this, pid, sent = resets_[pid], arrive = std::move(arrive)] {
    if (resets_[pid] == sent) return arrive();
    ++outcome_.messages_reset;
    trace("lost", static_cast<std::uint64_t>(pid));
  };
}

void World::failed(const Error& error, std::string_view where) {
  const auto counters = disk_.counters();
  const bool wanted = counters.failed_writes + counters.failed_syncs > outcome_.failed_writes + outcome_.failed_syncs;
  outcome_.failed_writes = counters.failed_writes;
  outcome_.failed_syncs = counters.failed_syncs;
  if (!disk_.crashed() && !wanted) return problem(std::string(where) + ": " + error.message);
  crash_due_ = true;
}

void World::plan_faults() {
  if (now_ >= plan_.calm_from) return;
  const std::uint64_t kind = below(12);
  if (kind == 10) {
    if (plan_.drains && broker_ && broker_->core) with_core([&] { broker_->core->drain(now_); });
  } else if (kind == 11) {
    if (plan_.full_disk && (producers_.empty() || below(2) == 0)) {
      disk_.limit_bytes(disk_.bytes() + below(topology_.broker.segment_bytes));
      later(micros(2'000'000), [this] { disk_.limit_bytes(UINT64_MAX); });
    } else if (!producers_.empty()) {
      ++outcome_.producer_deaths;
      producers_[below(producers_.size())]->die();
    }
  } else if (kind < 2) {
    if (broker_) crash_due_ = true;
  } else if (kind < 4) {
    if (broker_) disk_.crash_after(1 + below(30));
  } else if (!workers_.empty()) {
    auto chosen = workers_.begin();
    std::advance(chosen, below(workers_.size()));
    WorkerProcess& worker = *chosen->second;
    if (kind < 8 && worker.alive()) {
      worker.die();
      exited(worker);
    } else {
      ++outcome_.freezes;
      worker.freeze(now_ + micros(4'000'000));
    }
  }
  later(micros(500'000), [this] { plan_faults(); });
}

void World::requeue() {
  if (now_ < plan_.calm_from) later(micros(3'000'000), [this] { requeue(); });
  if (!broker_ || !broker_->core || broker_->core->moves_letters()) return;
  in_broker(broker_->reader_lane, micros(5000), [this] {
    core::LetterRequest request;
    request.again = true;
    const Status read = broker_->reader->dead_letters(
        broker_->core->dead_letter_parts(), [&](const server::JournalReader::Letter& letter) {
          request.found.push_back(server::letter_found(letter, topology_, request.again));
        });
    if (!read.ok()) return failed(read.error(), "dead letters");
    trace("requeue", request.found.size());
    with_core([&] { broker_->core->move_letters(kPerson, std::move(request), now_); });
  });
}

void World::tick() {
  later(kTick, [this] { tick(); });
  if (!broker_ || !broker_->core) return;
  broker_->core->set_space(broker_->full || broker_->journal->low_on_space(),
                           broker_->full || broker_->journal->out_of_spares());
  broker_->core->tick(now_);
  in_broker(broker_->keeper_lane, micros(5000), [this] {
    const Status status = broker_->journal->prepare_spare();
    if (!status.ok() && status.error().code != Code::kDiskFull) failed(status.error(), "spare");
  });
}

void World::append(Sequence sequence, bool checkpoint, Durability durability, core::Buffer payload) {
  trace("append", sequence.value(), payload.bytes);
  broker_->queue.push_back({sequence, checkpoint, durability, std::move(payload)});
  if (broker_->writing) return;
  broker_->writing = true;
  Lane lane{0};
  in_broker(lane, micros(500), [this] { write_group(); });
}

void World::sync() {
  broker_->sync_wanted = true;
  if (broker_->writing) return;
  broker_->writing = true;
  Lane lane{0};
  in_broker(lane, micros(500), [this] { write_group(); });
}

void World::write_group() {
  Broker& broker = *broker_;
  broker.writing = false;
  std::vector<Entry> group;
  group.swap(broker.queue);
  if (!group.empty()) {
    std::vector<BytesView> payloads;
    payloads.reserve(group.size());
    for (const Entry& entry : group) payloads.emplace_back(entry.payload.bytes);
    std::vector<journal::EntryView> views;
    for (std::size_t i = 0; i < group.size(); ++i) {
      views.push_back(
          {group[i].checkpoint ? journal::EntryKind::kCheckpoint : journal::EntryKind::kRecord, {&payloads[i], 1}});
    }
    std::vector<journal::Position> positions;
    const Status status =
        without_syncs(Bug::kRollOverUnsynced, [&] { return broker.journal->append(views, positions); });
    broker.full = !status.ok() && status.error().code == Code::kDiskFull;
    if (broker.full) {
      ++outcome_.disk_refusals;
      std::move(broker.queue.begin(), broker.queue.end(), std::back_inserter(group));
      broker.queue = std::move(group);
      broker.writing = true;
      Lane lane{0};
      return in_broker(lane, micros(20'000), [this] { write_group(); });
    }
    if (!status.ok()) return failed(status.error(), "append");
    broker.unsynced = true;
    std::vector<std::pair<Sequence, journal::Position>> written;
    for (std::size_t i = 0; i < group.size(); ++i) {
      broker.needs_sync |= group[i].durability == Durability::kFsync;
      if (group[i].checkpoint) ++outcome_.checkpoints;
      written.emplace_back(group[i].sequence, positions[i]);
    }
    const Sequence end = group.back().sequence.plus(1);
    post([this, written, end, settled = !broker.needs_sync || has(Bug::kSettledAheadOfSync)] {
      with_core([&] {
        for (const auto& [sequence, position] : written)
          broker_->core->on_written(sequence, position.segment, position.offset);
        if (settled) broker_->core->on_settled(end, now_);
      });
    });
  }
  broker.needs_sync |= std::exchange(broker.sync_wanted, false) && broker.unsynced;
  if (broker.unsynced) {
    broker.writing = true;
    Lane lane{0};
    const bool waits = !broker.needs_sync && now_ - broker.synced < topology_.broker.interval;
    in_broker(lane, waits ? micros(2000) : micros(plan_.slow_disk ? 100'000 : 3000),
              [this, waits] { waits ? write_group() : sync_group(); });
  }
}

void World::sync_group() {
  Broker& broker = *broker_;
  if (const Status status = broker.journal->sync(); !status.ok()) return failed(status.error(), "sync");
  broker.synced = now_;
  broker.needs_sync = broker.unsynced = false;
  post([this, end = broker.journal->durable()] {
    with_core([&] {
      broker_->core->on_durable(end);
      broker_->core->on_settled(end, now_);
    });
  });
  if (!broker.queue.empty()) return write_group();
  broker.writing = false;
  if (const Status status = broker.journal->mark_if_needed(); !status.ok()) failed(status.error(), "mark");
}

void World::read_frame(std::uint32_t stream, std::uint64_t frame, core::Place place) {
  trace("read", frame);
  ++outcome_.frames_read;
  in_broker(broker_->reader_lane, micros(2000), [this, stream, frame, place] {
    auto bytes = broker_->reader->read(place);
    const bool gone = !bytes.ok() && bytes.error().code == Code::kNotFound;
    if (!bytes.ok() && !gone) return failed(bytes.error(), "read");
    post([this, stream, frame, place, bytes = gone ? Bytes() : *bytes] {
      if (bytes.empty() && broker_->core->lies_at(stream, frame, place))
        problem("a frame is lost that is still needed");
      with_core([&] { broker_->core->on_frame(stream, frame, bytes); });
    });
  });
}

void World::restore(core::RestoreJob job) {
  trace("restore", job.incarnation.value());
  if (has(Bug::kSnapshotWithoutTail)) {
    for (core::RestoreJob::Part& part : job.parts) part.tail.clear();
  }
  in_broker(broker_->reader_lane, micros(5000), [this, job = std::move(job)]() mutable {
    const Status status = broker_->reader->restore(job, [&](const wire::StatePart& part) -> Status {
      post([this, incarnation = job.incarnation, part, held = Bytes(part.changes.begin(), part.changes.end())] {
        wire::StatePart posted = part;
        posted.changes = held;
        with_core([&] { broker_->core->on_state(incarnation, posted); });
      });
      return {};
    });
    if (!status.ok()) return failed(status.error(), "restore");
    post([this, job = std::move(job)] { with_core([&] { broker_->core->on_restored(job); }); });
  });
}

void World::compact(core::CompactJob job) {
  trace("compact", job.result.file);
  ++outcome_.compactions;
  in_broker(broker_->keeper_lane, micros(20'000), [this, job = std::move(job)]() mutable {
    const Status status = without_syncs(Bug::kSnapshotUnsynced, [&] { return broker_->keeper->compact(job); });
    if (!status.ok() && status.error().code != Code::kDiskFull) return failed(status.error(), "compact");
    if (!status.ok()) job.result.file = 0;
    post([this, job] { with_core([&] { broker_->core->on_compacted(job); }); });
  });
}

void World::copy(core::CopyJob job) {
  trace("copy", job.items.size());
  ++outcome_.copies;
  in_broker(broker_->reader_lane, micros(20'000), [this, job = std::move(job)]() mutable {
    const Status status = broker_->reader->copy(job);
    if (!status.ok()) return failed(status.error(), "copy");
    post([this, job] { with_core([&] { broker_->core->on_copied(job); }); });
  });
}

void World::write_checkpoint(core::CheckpointJob job) {
  trace("checkpoint", job.through.value(), job.bytes);
  in_broker(broker_->checkpoints_lane, micros(20'000), [this, job = std::move(job)]() mutable {
    const auto payload = without_syncs(Bug::kCheckpointUnsynced, [&] { return broker_->keeper->checkpoint(job); });
    if (!payload.ok() && payload.error().code != Code::kDiskFull) return failed(payload.error(), "checkpoint");
    post([this, payload = payload.ok() ? *payload : Bytes()] {
      with_core([&] { broker_->core->on_checkpoint(payload); });
    });
  });
}

void World::notify(core::Notice notice) {
  using Kind = core::Notice::Kind;
  trace(notice.reason, static_cast<std::uint64_t>(notice.kind));
  if (notice.kind == Kind::kFenced) {
    ++outcome_.fences;
    const bool expected = notice.reason == "a message from it was lost" ||
                          notice.reason == "it was silent for too long" ||
                          notice.reason == "another process took its place";
    if (!expected) {
      problem("an honest worker of " + topology_.stages[notice.stage].name + " was fenced: " + notice.reason);
    }
  }
  if (notice.kind == Kind::kStageFailed) problem("a stage failed: " + notice.reason);
  if (notice.kind == Kind::kFinished) finished_ = true;
  // Not within the call of the core that says so.
  if (notice.kind == Kind::kDrained) in_broker(broker_->mailbox, micros(1000), [this] { drained(); });
}

void World::drained() {
  // As Ctrl-C does: everyone is told to exit, and a person starts it again.
  ++outcome_.drains;
  trace("drained", life_);
  broker_->core->stop();
  broker_.reset();
  disk_.kill();
  for (const auto& [pid, worker] : workers_) worker->die();
  later(micros(200'000), [this] { start_broker(); });
  start_workers();
}

// Workers and the wire.

void World::start_workers() {
  for (std::uint32_t stage = 0; stage < topology_.stages.size(); ++stage) {
    if (topology_.stages[stage].host != stage) continue;
    for (std::uint32_t index = 0; index < topology_.stages[stage].workers; ++index) {
      later(micros(300'000), [this, stage, index] { start_worker(stage, index); });
    }
  }
}

void World::produce(std::uint32_t producer) {
  producers_[producer]->work();
  if (!producers_[producer]->done()) later(micros(20'000), [this, producer] { produce(producer); });
}

void World::answer_duplicate(const core::Client& client, BytesView message) {
  const auto map = wire::MapReader::parse(message);
  if (!map.ok() || map->op() != "publish" || !broker_) return;
  const auto number = static_cast<std::uint64_t>(map->integer("number", 0));
  std::uint64_t& most = published_[client];
  if (number > most) {
    most = number;
    return;
  }
  wire::MapWriter answer("acknowledged");
  answer.put("number", number);
  reply(client, std::move(answer).finish());
}

void World::ask(const core::Client& client, Bytes message) {
  if (chance(plan_.drops_per_million)) {
    ++outcome_.messages_dropped;
    return trace("dropped", 0);
  }
  const int times = chance(plan_.doubles_per_million) ? 2 : 1;
  outcome_.messages_doubled += times - 1;
  for (int i = 0; i < times; ++i) {
    in_lane(asked_[client], micros(3000), [this, client, message] {
      trace("asked", 0, message);
      with_core([&] { broker_->core->on_client(client, message, now_); });
      if (has(Bug::kDuplicateAnswered)) answer_duplicate(client, message);
    });
  }
}

void World::start_worker(std::uint32_t stage, std::uint32_t index) {
  const std::int64_t pid = ++pids_;
  trace("worker", static_cast<std::uint64_t>(pid));
  auto& worker = workers_[pid];
  worker = std::make_unique<WorkerProcess>(*this, stage, index, pid);
  worker->begin();
  later(micros(1000), [this, pid] { work(pid); });
}

void World::work(std::int64_t pid) {
  const auto found = workers_.find(pid);
  if (found == workers_.end()) return;
  if (!found->second->alive()) {
    workers_.erase(found);
    return;
  }
  found->second->work();
  later(micros(20'000), [this, pid] { work(pid); });
}

void World::exited(WorkerProcess& worker, const std::optional<core::FatalRecord>& fatal) {
  ++outcome_.worker_deaths;
  trace("died", static_cast<std::uint64_t>(worker.pid()));
  const std::uint32_t stage = worker.stage();
  const std::uint32_t index = worker.index();
  if (fatal) ++outcome_.deaths_by_record;
  const auto blamed = has(Bug::kSigkillBlamed) ? worker.last_record() : fatal;
  later(micros(100'000), [this, stage, index, pid = worker.pid(), blamed] {
    with_core([&] { broker_->core->on_died(stage, index, pid, now_, blamed); });
  });
  if (!worker.stopped()) later(micros(300'000), [this, stage, index] { start_worker(stage, index); });
}

void World::say_hello(const WorkerProcess& worker, Bytes message) {
  later(micros(2000), [this, client = std::to_string(worker.pid()), message = std::move(message)] {
    trace("hello", 0, message);
    with_core([&] { broker_->core->on_client(client, message, now_); });
  });
}

bool World::backlog_is_full() {
  for (std::uint32_t stream = 0; stream < topology_.streams.size(); ++stream) {
    if (topology_.streams[stream].transport != Transport::kQueue) continue;
    if (broker_->core->ledger().stream(stream).bytes_kept() >= topology_.streams[stream].backlog_bytes_max) return true;
  }
  return false;
}

void World::to_broker(std::int64_t pid, Bytes message) {
  if (has(Bug::kGapUnseen)) {
    auto header = *wire::decode_header(message);
    if (header.number != 0) header.number -= unseen_[pid];
    message = wire::message(header, Bytes(wire::body_of(message).begin(), wire::body_of(message).end()));
    if (header.type == wire::MessageType::kCommit && chance(5000)) {
      ++unseen_[pid];
      return trace("unseen", static_cast<std::uint64_t>(pid));
    }
  }
  if (chance(plan_.drops_per_million)) {
    ++outcome_.messages_dropped;
    return trace("dropped", static_cast<std::uint64_t>(pid));
  }
  const int times = chance(plan_.doubles_per_million) ? 2 : 1;
  outcome_.messages_doubled += times - 1;
  for (int i = 0; i < times; ++i) {
    in_lane(to_broker_[pid], micros(3000), in_flight(pid, [this, message] {
              trace("to broker", 0, message);
              const bool refused = has(Bug::kBacklogRefuses) && broker_ && broker_->core && backlog_is_full() &&
                                   wire::decode_header(message)->type == wire::MessageType::kCommit;
              if (refused) return;
              with_core([&] { broker_->core->on_message(core::Buffer::of(message), now_); });
            }));
  }
}

void World::reply(const core::Client& client, Bytes message) {
  if (client == kPerson) {
    const auto answer = wire::MapReader::parse(message);
    if (answer.ok() && answer->op() == "letters_requeued")
      outcome_.letters_requeued += static_cast<std::uint64_t>(answer->integer("count", 0));
    return trace("answer", 0, message);
  }
  if (client.front() == 'p') {  // ROUTER drops in silence what a producer is too slow for
    if (chance(plan_.drops_per_million)) {
      ++outcome_.messages_dropped;
      return trace("dropped", 0);
    }
    return later(micros(2000), [this, client, message = std::move(message)] {
      trace("answer", 0, message);
      for (const auto& producer : producers_) {
        if (producer->client() == client) producer->on_answer(message);
      }
    });
  }
  later(micros(2000), [this, pid = std::stoll(client), message = std::move(message)] {
    trace("reply", static_cast<std::uint64_t>(pid), message);
    const auto found = workers_.find(pid);
    if (found != workers_.end() && found->second->alive()) found->second->on_reply(message);
  });
}

void World::connect(Incarnation incarnation, const std::string& inbox) {
  broker_->inboxes[incarnation] = {std::stoll(inbox), Lane{0}};
}

void World::disconnect(Incarnation incarnation) { broker_->inboxes.erase(incarnation); }

void World::send(Incarnation incarnation, Bytes message) {
  const auto inbox = broker_->inboxes.find(incarnation);
  if (inbox == broker_->inboxes.end()) return problem("the core sent to an inbox that is not connected");
  if (chance(plan_.drops_per_million)) {
    ++outcome_.messages_dropped;
    return trace("dropped", incarnation.value());
  }
  auto& [pid, lane] = inbox->second;
  in_lane(lane, micros(3000), in_flight(pid, [this, pid = pid, message = std::move(message)] {
            trace("to worker", static_cast<std::uint64_t>(pid), message);
            const auto found = workers_.find(pid);
            if (found != workers_.end() && found->second->alive()) found->second->on_message(message);
          }));
}

// The oracle.

void World::settled(const std::string& of, std::uint64_t value) {
  std::uint64_t& known = settled_[of];
  known = std::max(known, value);
}

void World::restored(Incarnation incarnation, const std::string& of, std::uint64_t value) {
  // Who slept through its own fencing may hear old words late.
  if (!broker_ || broker_->inboxes.count(incarnation) == 0) return;
  remembered(of, value);
}

bool World::all_published() const {
  return std::all_of(producers_.begin(), producers_.end(),
                     [&](const auto& producer) { return producer->all_acknowledged(); });
}

void World::remembered(const std::string& of, std::uint64_t value) {
  if (value < settled_[of]) {
    problem("what was settled of " + of + " is lost (I2): " + std::to_string(settled_[of]) + " became " +
            std::to_string(value));
  }
}

void World::delivered_to_sink(std::uint32_t shard, std::uint64_t offset, BytesView record) {
  const auto [known, fresh] = left_.try_emplace({shard, offset}, record.begin(), record.end());
  if (!fresh && !std::equal(record.begin(), record.end(), known->second.begin(), known->second.end()))
    problem("a record that had left the broker changed");
}

void World::check_dead_letters() {
  std::set<std::uint64_t> expected;
  for (std::uint64_t number = 0; number < plan_.numbers_all(); ++number) {
    if (!plan_.is_good(number)) expected.insert(number);
  }
  std::multiset<std::uint64_t> found;
  const Status read = broker_->reader->dead_letters(
      broker_->core->dead_letter_parts(), [&](const server::JournalReader::Letter& letter) {
        const auto number = ValueView(letter.letter.value_bytes).as<std::vector<std::uint64_t>>().front();
        const std::string why = plan_.is_poison(number) ? std::to_string(number) : "it killed ";
        if (letter.letter.reason.substr(0, why.size()) == why) found.insert(number);
      });
  if (!read.ok()) return problem("the dead letters cannot be read: " + read.error().message);
  if (!std::equal(expected.begin(), expected.end(), found.begin(), found.end()))
    return problem("the dead letters are not the poisoned numbers");
  const std::uint64_t counted = broker_->core->dead_letters();
  if (plan_.requeues ? counted < expected.size() : counted != expected.size())
    problem("the broker counted other dead letters");
  outcome_.dead_letters += expected.size();
}

void World::check_end() {
  std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> truth;
  for (std::uint64_t number = 0; number < plan_.numbers_all(); ++number) {
    if (!plan_.is_good(number)) continue;
    auto& [count, sum] = truth[number % plan_.keys];
    ++count;
    sum += number;
  }
  std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> found;
  std::map<std::uint64_t, int> finals;
  for (const auto& [lane, target] : targets_) {
    for (const auto& [key, count, sum, last] : target.records) {
      const std::string at = " (key " + std::to_string(key) + ", count " + std::to_string(count) + ")";
      auto& [counted, summed] = found[key];
      if (last != 0) {
        if (++finals[key] > 1) return problem("a shard was finished twice" + at);
        if (count != truth[key].first || sum != truth[key].second) return problem("a total is wrong" + at);
        continue;
      }
      if (count != counted + 1) return problem("the target has a record twice or lacks one (I1)" + at);
      counted = count;
      summed = sum;
    }
  }
  if (found != truth) return problem("the target differs from the truth (I1)");
  if (finals.size() != truth.size()) return problem("a key's total is missing (I1)");
  std::uint64_t healthy = 0;
  for (const auto& [key, total] : truth) healthy += total.first;
  const std::uint64_t in = broker_->core->records_in();
  if (plan_.requeues ? in < plan_.numbers_all() : in != plan_.numbers_all())
    return problem("the broker counted other records in");
  if (broker_->core->records_out() != healthy + truth.size()) return problem("the broker counted other records out");
  check_dead_letters();
  // What is over stays over.
  broker_.reset();
  if (plan_.power_cuts) {
    disk_.power_cut();
  } else {
    disk_.kill();
  }
  start_broker();
  if (outcome_.problem.empty() && !broker_->core->ledger().finished()) problem("the end was lost");
}

}  // namespace weir::simulation
