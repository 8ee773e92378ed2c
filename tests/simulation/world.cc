// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/world.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "broker/journal/opening.h"
#include "broker/server/replay.h"
#include "tests/simulation/model_producer.h"
#include "tests/simulation/worker_process.h"

namespace weir::simulation {

using namespace std::chrono_literals;

namespace {

constexpr Monotonic kTick = 10ms;
constexpr Monotonic kDeadline = 300s;  ///< while there is room on the disk

/// A start that cuts the torn tail by writing over it, in the same segment and as the same reign (Bug::kCutGoneOn).
class GoesOn final : public journal::Opening {
 public:
  using Opening::Opening;

 protected:
  Result<Place> begin_reign(const journal::JournalOptions& options) override {
    if (!history().newest) return Opening::begin_reign(options);
    const std::size_t newest = *history().newest;
    const journal::SegmentHeader& header = header_of(newest);
    const std::uint32_t first = header.opening ? header.copy_end + journal::kOpeningBytes : journal::kBlockBytes;
    return Place{newest, header, std::max(first, journal::block_up(history().content_end))};
  }
};

}  // namespace

World::World(const Plan& plan)
    : plan_(plan),
      random_(plan.seed),
      topology_(topology_of(plan, random_)),
      damage_(plan.seed + 2),
      flips_(plan.seed + 4),
      wishes_(plan.seed + 3),
      trouble_(plan.seed + 5),
      disk_(plan.seed + 1),
      committed_(plan_, topology_) {
  topologies_.push_back(std::make_unique<Topology>(topology_));
  for (std::uint64_t number = 0; number < plan.numbers_all(); ++number) {
    if (!plan.is_good(number)) bad_keys_.insert(number % plan.keys);
  }
  if (has(Bug::kSnapshotOverStore)) local_disk_.keep_what_is_cleared();
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
  if (plan_.requeues) later(Monotonic(static_cast<std::int64_t>(wishes_() % 1'000'000)), [this] { move_letters(); });
  if (plan_.replayed != Replayed::kNone)
    later(Monotonic(static_cast<std::int64_t>(wishes_() % 1'000'000)), [this] { replay(); });
  if (plan_.scales) later(Monotonic(static_cast<std::int64_t>(wishes_() % 1'000'000)), [this] { scale(); });
  if (plan_.upgrades) later(Monotonic(static_cast<std::int64_t>(wishes_() % 1'000'000)), [this] { upgrade(); });
  if (plan_.changes) later(Monotonic(static_cast<std::int64_t>(wishes_() % 1'000'000)), [this] { stop(); });
  if (plan_.full_for_long) later(Monotonic(static_cast<std::int64_t>(trouble_() % 3'000'000)), [this] { fill_disk(); });
  if (plan_.clock_jumps) later(Monotonic(static_cast<std::int64_t>(trouble_() % 1'000'000)), [this] { set_clock(); });
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
    if (now_ > kDeadline + full_until_) {
      problem("it did not finish: " + (broker_ && broker_->core ? broker_->core->status_text() : "no broker"));
    }
  }
  outcome_.boundary_moves = committed_.boundary_moves();
  outcome_.state_moved = committed_.state_moved();
  if (outcome_.problem.empty()) check_end();
  outcome_.took = now_;
  return outcome_;
}

void World::in_lane(Lane& lane, Monotonic delay, Action action) {
  lane = std::max(lane, now_ + delay);
  later(lane - now_, std::move(action));
}

void World::on_connection(Lane& lane, Monotonic delay, Action action) {
  constexpr std::uint64_t kLatestUs = 2'500'000;  // longer than anyone may be silent
  if (plan_.delays_per_million != 0 && now_ < plan_.calm_from && trouble_() % 1'000'000 < plan_.delays_per_million) {
    delay += Monotonic(static_cast<std::int64_t>(trouble_() % kLatestUs));
    ++outcome_.messages_delayed;
  }
  in_lane(lane, delay, std::move(action));
}

void World::count_overtaken(std::uint64_t sent) {
  outcome_.messages_overtaken += sent < sent_arrived_ ? 1 : 0;
  sent_arrived_ = std::max(sent_arrived_, sent);
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
  if (plan_.segment_flips && life_ > 1 && flips_() % 2 == 0) start_from_damage();
  if (plan_.bit_flips && life_ > 1 && damage_() % 3 == 0) damage_checkpoint();
  if (life_ > 1 && !finished_ && plan_.kills && chance(200'000)) disk_.crash_after(1 + below(10));
  journal::JournalOptions options;
  options.segment_bytes = topology_.broker.segment_bytes;
  options.seed = random_();
  journal::Recovery found;
  auto journal = without_syncs(Bug::kTailServedUnsynced, [&] {
    return has(Bug::kCutGoneOn) ? GoesOn(disk_).open(options, found) : journal::Journal::open(disk_, options, found);
  });
  if (!journal.ok() && journal.error().code == Code::kDiskFull) {
    ++outcome_.disk_refusals;
    broker_.reset();
    return later(micros(200'000), [this] { start_broker(); });
  }
  if (!journal.ok()) {
    outcome_.crashes_in_recovery += disk_.crashed() ? 1 : 0;
    return failed(journal.error(), "open");
  }
  outcome_.stale_seen += found.stale_behind ? 1 : 0;
  outcome_.tails_cut += found.cut_bytes != 0 ? 1 : 0;
  const bool tail_lost = committed_.end() != found.end;
  check(committed_.start(found.end));
  inboxes_.clear();
  if (!outcome_.problem.empty()) return;
  broker_->journal = std::move(*journal);
  durable_before_ = durable_ = found.end;
  core::CoreOptions core_options;
  core_options.beat = 200ms;
  core_options.silence = 2s;
  core_options.settle_in = 200ms;
  core_options.upgrade_proof = 500ms;
  core_options.load_records_min = plan_.weighs ? 1 : UINT64_MAX;
  core_options.boundaries_every = 50ms;
  core_options.learned_keys_min = 8;
  core_options.learned_keys_max = 100;  // so few that keys in rising order come as a drift
  core_options.relocated_bytes = 1 << (plan_.seed % 10);
  if (plan_.copies_early) core_options.segments_slack = 2;
  core_options.entry_bytes_max = broker_->journal->entry_bytes_max();
  core_options.commits_endpoint = "commits";
  broker_->core = std::make_unique<core::Core>(topology_, core_options, *this);
  broker_->core->set_started_us(wall_us());
  const Status replayed = server::replay(*broker_->journal, found, broker_->core->ledger());
  if (!replayed.ok()) return failed(replayed.error(), "replay");
  check_workers();
  check_libraries();
  revise_topology();
  broker_->reader = std::make_unique<server::JournalReader>(*broker_->journal, disk_);
  broker_->keeper = std::make_unique<server::Keeper>(*broker_->journal, disk_);
  Reign reign = found.reign;
  if (has(Bug::kReignReused)) reign = Reign(1);
  if (has(Bug::kCutGoneOn)) reign = Reign(static_cast<std::uint32_t>(life_));  // the fault is to be the journal's alone
  if (has(Bug::kIncarnationReused) && tail_lost) reign = reign_before_;
  reign_before_ = reign;
  broker_->core->start(reign, {broker_->journal->segment_oldest(), broker_->journal->segment_newest()}, now_);
  if (plan_.scales) workers_told_ = broker_->core->workers_wanted();
  say_libraries();
  launch_missing();
  broker_->core->pump(now_);
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

void World::notify(core::Notice notice) {
  using Kind = core::Notice::Kind;
  trace(notice.reason, static_cast<std::uint64_t>(notice.kind));
  if (notice.kind == Kind::kFenced) {
    ++outcome_.fences;
    const bool expected = notice.reason == "a message from it was lost" ||
                          notice.reason == "it was silent for too long" ||
                          (notice.reason == "its stage is replayed" && replays_.count() != 0) ||
                          notice.reason == "another process took its place";
    if (!expected) {
      problem("an honest worker of " + topology().stages[notice.stage].name + " was fenced: " + notice.reason);
    }
  }
  if (notice.kind == Kind::kLeft) ++outcome_.leaves;
  if (notice.kind == Kind::kStageFinished) stages_finished_.insert(notice.stage);
  if (notice.kind == Kind::kScaled) {
    workers_told_[notice.stage] = notice.workers;
    launch_missing();
  }
  if (notice.kind == Kind::kUpgraded) {
    const core::StageLibrary* chosen = broker_->core->ledger().library(notice.stage);
    outcome_.upgrades_settled += chosen != nullptr && chosen->settled ? 1 : 0;
    outcome_.upgrades_failed += chosen != nullptr && chosen->by == core::StageLibrary::By::kItself && !chosen->settled;
    if (versions_[notice.stage] != library_found(notice.stage)) versions_before_ = versions_;
    versions_[notice.stage] = library_found(notice.stage);
    launch_missing();
  }
  if (notice.kind == Kind::kStageFailed) problem("a stage failed: " + notice.reason);
  if (notice.kind == Kind::kFinished) finished_ = true;
  // Not within the call of the core that says so.
  if (notice.kind == Kind::kDrained) in_broker(broker_->mailbox, micros(1000), [this] { drained(); });
}

void World::drained() {
  // As Ctrl-C does: everyone is told to exit, and a person starts it again.
  ++outcome_.drains;
  letters_.waiting.clear();  // who still waits for an answer gets none
  replays_.forget_waiting();
  scales_.forget_waiting();
  upgrades_.forget_waiting();
  trace("drained", life_);
  broker_->core->stop();
  broker_.reset();
  disk_.kill();
  for (const auto& [pid, worker] : workers_) worker->die();
  ++launch_;
  starts_due_.clear();
  if (plan_.changes && wishes_() % 4 != 0) {
    change_topology();
    launch_due_ = true;
    return later(micros(200'000), [this] { start_broker(); });
  }
  later(micros(200'000), [this] { start_broker(); });
  start_workers();
}

}  // namespace weir::simulation
