// SPDX-License-Identifier: Apache-2.0
#include "stages/host/watchdog.h"

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>

#include "sdk/base/log.h"
#include "stages/host/exit_codes.h"
#include "stages/host/leave_signal.h"

namespace weir::host {

using namespace std::chrono_literals;

namespace {

/// A deadline is noticed late by a tenth of it at most, and by no more than this.
constexpr Monotonic kPeriodMax = 50ms;
constexpr Monotonic kPeriodMin = 1ms;

bool watched(wire::Doing doing) {
  switch (doing) {
    case wire::Doing::kProcess:
    case wire::Doing::kRequeued:
    case wire::Doing::kWatermark:
    case wire::Doing::kFinish:
    case wire::Doing::kRead:
      return true;
    default:
      return false;
  }
}

}  // namespace

Watchdog::Watchdog(const Topology& topology, const std::vector<std::uint32_t>& stages, AtWork& work,
                   std::function<void(const std::string&)> bite)
    : topology_(topology), work_(work), bite_(std::move(bite)), period_(kPeriodMax) {
  for (const std::uint32_t stage : stages) {
    if (const auto deadline = topology.stages[stage].deadline; deadline.count() != 0)
      period_ = std::clamp<Monotonic>(deadline / 10, kPeriodMin, period_);
  }
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "watchdog");
    LeaveSignal::leave_to_others();
    run();
  });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_one();
  thread_.join();
}

void Watchdog::kill(const std::string& sentence) {
  log::error("{}", sentence);
  _exit(static_cast<int>(Exit::kDeadline));
}

Watchdog::Seen Watchdog::look() const {
  const wire::WorkPage& page = work_.page();
  Seen seen;
  seen.doing = page.doing.load(std::memory_order_acquire);
  seen.turn = page.turn.load(std::memory_order_relaxed);
  seen.stage = page.stage.load(std::memory_order_relaxed);
  // The plugin counts the records of its batch there, as it goes.
  if (const weir_context* context = work_.context()) seen.record = __atomic_load_n(&context->record, __ATOMIC_RELAXED);
  return seen;
}

void Watchdog::run() {
  Seen last;
  Monotonic looked = monotonic_now();
  Monotonic took{0};
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, period_, [this] { return stopping_; })) {
    const Seen seen = look();
    const Monotonic now = monotonic_now();
    // A process that was stopped wakes up to a clock far ahead: only time that this thread was awake in counts.
    const Monotonic passed = std::min(now - looked, 4 * period_);
    looked = now;
    if (seen != last || !watched(seen.doing) || seen.stage >= topology_.stages.size()) {
      last = seen;
      took = Monotonic(0);
      continue;
    }
    took += passed;
    const StageSpec& stage = topology_.stages[seen.stage];
    if (stage.deadline.count() == 0 || took < stage.deadline) continue;
    bite_(fmt::format("stage {} is {} for longer than its deadline of {} ms", stage.name, wire::to_string(seen.doing),
                      stage.deadline.count() / 1000));
    took = Monotonic(0);
  }
}

}  // namespace weir::host
