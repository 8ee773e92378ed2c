// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/progress.h"

#include <fmt/format.h>

#include <utility>

namespace weir::launcher {
namespace {

constexpr Monotonic kLiveEvery = std::chrono::milliseconds(200);
constexpr Monotonic kLineEvery = std::chrono::seconds(1);

double seconds(Monotonic span) { return static_cast<double>(span.count()) / 1e6; }

}  // namespace

Progress::Progress(std::string name, Screen& screen, Monotonic start, bool quiet)
    : name_(std::move(name)), screen_(screen), start_(start), next_(start), quiet_(quiet) {}

void Progress::on_status(const BrokerEvent& status) { status_ = status; }

std::string Progress::counts() const {
  return fmt::format("{} records in, {} out, {} dead letters", status_.records_in, status_.records_out,
                     status_.dead_letters);
}

void Progress::tick(Monotonic now) {
  if (now < next_) return;
  next_ = now + (screen_.live() ? kLiveEvery : kLineEvery);
  if (quiet_) return;
  const std::string& state = override_.empty() ? status_.state : override_;
  const std::string text =
      fmt::format("{} ({:.0f} records/s), {} wait{}{}", counts(), status_.records_per_second, status_.waiting,
                  status_.waits_outside.empty() ? "" : ": ", status_.waits_outside);
  if (screen_.live()) {
    screen_.show(fmt::format("{}: {} {:.0f} s: {}", name_, state, seconds(now - start_), text));
  } else if (const std::string told = state + text; told != last_) {
    last_ = told;
    screen_.line(fmt::format("{}: {} {:.0f} s: {}", name_, state, seconds(now - start_), text));
  }
}

std::string Progress::finished(Monotonic now) const {
  return fmt::format("finished {} in {:.1f} s: {}", name_, seconds(now - start_), counts());
}

std::string Progress::stopped() const {
  return fmt::format("stopped {}, run again to go on: {} records wait", name_, status_.waiting);
}

}  // namespace weir::launcher
