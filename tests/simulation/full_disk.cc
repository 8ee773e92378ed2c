// SPDX-License-Identifier: Apache-2.0
// A disk that is full for minutes.
#include "tests/simulation/worker_process.h"
#include "tests/simulation/world.h"

namespace weir::simulation {

using namespace std::chrono_literals;

void World::fill_disk() {
  // A directory that never had room for its spares waits for room, and cannot be worked off.
  constexpr std::uint64_t kSparesMin = 3;
  const bool whole = broker_ && broker_->core && !broker_->full && !broker_->journal->low_on_space();
  const journal::JournalProbe probe = whole ? broker_->journal->probe() : journal::JournalProbe{};
  if (probe.segments < probe.segments_in_use + kSparesMin)
    return later(std::chrono::duration_cast<Monotonic>(100ms), [this] { fill_disk(); });
  const auto half =
      std::chrono::duration_cast<Monotonic>(60s) + Monotonic(static_cast<std::int64_t>(trouble_() % 30'000'000));
  full_until_ = now_ + 2 * half;
  sinks_stand_until_ = now_ + half;
  disk_.limit_bytes(disk_.bytes() + trouble_() % topology_.broker.segment_bytes);
  trace("full", disk_.bytes());
  later(half * 3 / 4, [this] { accepted_before_ = committed_.accepted(); });
  later(half, [this] { sinks_go_on(); });
  later(2 * half, [this] { free_disk(); });
}

void World::sinks_go_on() {
  if (committed_.accepted() != accepted_before_)
    problem("records were accepted while the disk was full and nothing went out");
  const bool full = broker_ && broker_->core && (broker_->full || broker_->journal->low_on_space());
  waits_for_room_ = full && committed_.accepted() < plan_.numbers_all();
  outcome_.full_for_long += waits_for_room_ ? 1 : 0;
  sunk_before_ = committed_.sunk();
  trace("full still", sunk_before_);
}

void World::free_disk() {
  // Whether there was room for the checkpoint that frees segments depends on how much is kept: both may be.
  outcome_.full_worked_off += waits_for_room_ && committed_.sunk() != sunk_before_ ? 1 : 0;
  disk_.limit_bytes(UINT64_MAX);
  trace("room again", committed_.sunk());
}

}  // namespace weir::simulation
