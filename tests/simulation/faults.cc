// SPDX-License-Identifier: Apache-2.0
// What goes wrong: processes that die, a machine that stands still, a disk that fails and forgets.
#include <iterator>

#include "broker/journal/recovery.h"
#include "tests/simulation/model_producer.h"
#include "tests/simulation/second_history.h"
#include "tests/simulation/worker_process.h"
#include "tests/simulation/world.h"

namespace weir::simulation {

using namespace std::chrono_literals;

void World::crash_broker() {
  crash_due_ = false;
  ++outcome_.broker_crashes;
  outcome_.crashes_amid_letters += letters_.waiting.size();
  letters_.waiting.clear();
  outcome_.crashes_amid_replays += replays_.forget_waiting();
  outcome_.crashes_amid_scales += scales_.forget_waiting();
  outcome_.crashes_amid_upgrades += upgrades_.forget_waiting();
  const bool power = plan_.power_cuts && below(2) == 0;
  trace(power ? "power cut" : "broker killed", life_);
  outcome_.crashes_amid_copies += broker_ && broker_->copies != 0 ? 1 : 0;
  broker_.reset();
  outcome_.torn_writes += disk_.crashed() ? 1 : 0;
  if (power) {
    ++outcome_.power_cuts;
    disk_.power_cut();
    const test::SimDisk::Counters counters = disk_.counters();
    outcome_.blocks_lost = counters.blocks_lost;
    outcome_.blocks_torn = counters.blocks_torn;
    outcome_.cuts_reordered = counters.cuts_reordered;
    outcome_.folders_undone = counters.folders_undone;
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

void World::start_from_damage() {
  using Verdict = SecondHistory::Verdict;
  SecondHistory history(disk_, topology_, topology_.broker.segment_bytes, flips_());
  const Verdict verdict = history.run(durable_before_, has(Bug::kDamageCut));
  trace(history.place(), static_cast<std::uint64_t>(verdict));
  if (verdict == Verdict::kWrong) problem(history.problem());
  outcome_.damage_refused += verdict == Verdict::kRefused ? 1 : 0;
  outcome_.damage_stopped += verdict == Verdict::kStopped ? 1 : 0;
  outcome_.damage_cut += verdict == Verdict::kCut ? 1 : 0;
  outcome_.damage_unharmed += verdict == Verdict::kUnharmed ? 1 : 0;
}

void World::damage_checkpoint() {
  journal::History history;
  auto files = journal::open_segment_files(disk_, history.bytes_read);
  if (!files.ok() || !journal::read_history(disk_, *files, history).ok()) return;  // the start says so, or finds room
  if (!history.checkpoint_before || history.checkpoint_before == history.checkpoint_newest) return;
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
  if (plan_.leaves && !workers_.empty()) {
    auto chosen = workers_.begin();
    std::advance(chosen, damage_() % workers_.size());
    chosen->second->leave();
    trace("leave", static_cast<std::uint64_t>(chosen->first));
  }
  for (const auto& [pid, worker] : workers_) {
    if (!plan_.resets || damage_() % 2 == 0) continue;
    ++resets_[pid];
    trace("reset", static_cast<std::uint64_t>(pid));
  }
  later(Monotonic(static_cast<std::int64_t>(damage_() % 1'000'000)), [this] { plan_trouble(); });
}

void World::set_clock() {
  if (now_ >= plan_.calm_from) return;
  constexpr std::int64_t kFarthestUs = 3'600'000'000;
  const std::int64_t by = static_cast<std::int64_t>(trouble_() % (2 * kFarthestUs)) - kFarthestUs;
  clock_set_ += by;
  ++(by < 0 ? outcome_.clocks_set_back : outcome_.clocks_set_forward);
  trace("clock", static_cast<std::uint64_t>(clock_set_));
  later(Monotonic(static_cast<std::int64_t>(trouble_() % 2'000'000)), [this] { set_clock(); });
}

void World::plan_crash_in_job() {
  if (plan_.job_crashes_per_million == 0 || now_ >= plan_.calm_from) return;
  if (trouble_() % 1'000'000 < plan_.job_crashes_per_million) disk_.crash_after(1 + trouble_() % 6);
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
      const std::uint64_t bytes_max = disk_.bytes() + below(topology_.broker.segment_bytes);
      if (!disk_is_full()) disk_.limit_bytes(bytes_max);
      later(micros(2'000'000), [this] {
        if (!disk_is_full()) disk_.limit_bytes(UINT64_MAX);
      });
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

}  // namespace weir::simulation
