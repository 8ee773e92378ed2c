// SPDX-License-Identifier: Apache-2.0
#include "broker/core/load_follower.h"

#include <fmt/format.h>

#include <algorithm>

namespace weir::core {
namespace {

std::string text_of(const LoadFollower::Sight& sight) {
  return fmt::format("{} worker{} {:.0f} % busy, and {} record{}", sight.workers, sight.workers == 1 ? " is" : "s are",
                     sight.busy_ratio * 100, sight.backlog, sight.backlog == 1 ? " waits" : "s wait");
}

}  // namespace

std::optional<LoadFollower::Decision> LoadFollower::look(Monotonic now, const std::optional<Sight>& sight) {
  looked_ = now;
  if (!sight) {
    busy_.reset();
    idle_.reset();
    return std::nullopt;
  }
  if (sight->workers < most_ && sight->busy_ratio >= kBusy && sight->backlog != 0) {
    if (!busy_) busy_ = Since{now, sight->backlog};
  } else {
    busy_.reset();
  }
  const double less_one = sight->workers > 1 ? sight->busy_ratio * sight->workers / (sight->workers - 1) : 1;
  if (sight->workers > least_ && less_one <= kHalfIdle) {
    if (!idle_) idle_ = Since{now, sight->backlog};
  } else {
    idle_.reset();
  }
  if (busy_ && now - busy_->begun >= kMoreAfter) {
    // They are busy, but are on top of it: what waits will be worked off without more of them.
    const bool keeps_up = sight->backlog < busy_->backlog / 10 * 9;
    busy_ = Since{now, sight->backlog};
    if (!keeps_up) return Decision{std::min(most_, sight->workers + std::max(1U, sight->workers / 2)), text_of(*sight)};
  }
  if (idle_ && now - idle_->begun >= kFewerAfter) {
    const bool grows = sight->backlog > idle_->backlog;
    idle_ = Since{now, sight->backlog};
    if (!grows) return Decision{sight->workers - 1, text_of(*sight)};
  }
  return std::nullopt;
}

}  // namespace weir::core
