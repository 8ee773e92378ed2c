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
constexpr Monotonic kPeriodMax = 500ms;
constexpr Monotonic kPeriodMin = 1ms;

/// What no record is about asks disks, networks and whole states, which are slow at times: a short deadline is meant
/// for records, and would have such a call tried again in vain.
constexpr Monotonic kCallMin = 10s;

}  // namespace

Watchdog::Watchdog(const Topology& topology, const std::vector<std::uint32_t>& stages, AtWork& work,
                   std::function<void(const std::string&)> bite)
    : topology_(topology), work_(work), bite_(std::move(bite)) {
  for (const std::uint32_t stage : stages) {
    const Monotonic deadline = topology.stages[stage].deadline;
    if (deadline.count() == 0) continue;
    const Monotonic period = std::clamp<Monotonic>(deadline / 10, kPeriodMin, kPeriodMax);
    period_ = period_.count() == 0 ? period : std::min(period, period_);
  }
  if (period_.count() == 0) return;
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "watchdog");
    LeaveSignal::leave_to_others();
    run();
  });
}

std::optional<Monotonic> Watchdog::limit(const StageSpec& stage, wire::Doing doing) {
  if (stage.deadline.count() == 0) return std::nullopt;
  switch (doing) {
    case wire::Doing::kNothing:
      return std::nullopt;
    case wire::Doing::kProcess:
    case wire::Doing::kRequeued:
    case wire::Doing::kWatermark:
    case wire::Doing::kFinish:
    case wire::Doing::kRead:
      return stage.deadline;
    case wire::Doing::kCreate:
    case wire::Doing::kRestore:
    case wire::Doing::kEnumerate:
    case wire::Doing::kFlush:
    case wire::Doing::kOpen:
    case wire::Doing::kClose:
    case wire::Doing::kDurable:
    case wire::Doing::kDestroy:
      break;
  }
  return std::max(stage.deadline, kCallMin);
}

Watchdog::~Watchdog() {
  if (!thread_.joinable()) return;
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
    const StageSpec* stage = seen.stage < topology_.stages.size() ? &topology_.stages[seen.stage] : nullptr;
    const auto allowed = stage != nullptr ? limit(*stage, seen.doing) : std::nullopt;
    if (seen != last || !allowed) {
      last = seen;
      took = Monotonic(0);
      continue;
    }
    took += passed;
    if (took < *allowed) continue;
    bite_(fmt::format("stage {} is {} for longer than its deadline of {} ms", stage->name, wire::to_string(seen.doing),
                      allowed->count() / 1000));
    took = Monotonic(0);
  }
}

}  // namespace weir::host
