// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "sdk/base/clock.h"
#include "topologies/launcher/control_channel.h"
#include "topologies/launcher/screen.h"

namespace weir::launcher {

/// How far a topology has come, told on a screen: a live line on a terminal, else at most a line a second, and in the
/// end one sentence that scripts may read.
class Progress {
 public:
  Progress(std::string name, Screen& screen, Monotonic start, bool quiet);

  void on_status(const BrokerEvent& status);
  /// The word that stands in for the broker's state while it cannot say one ("starting"), or "" for the broker's.
  void set_state(std::string state) { override_ = std::move(state); }
  void tick(Monotonic now);
  /// When tick() has something to do again.
  [[nodiscard]] Monotonic next_tick() const { return next_; }

  [[nodiscard]] std::string finished(Monotonic now) const;
  [[nodiscard]] std::string stopped() const;

 private:
  [[nodiscard]] std::string counts() const;

  std::string name_;
  Screen& screen_;
  Monotonic start_;
  Monotonic next_;
  bool quiet_;
  std::string override_ = "starting";
  std::string last_;
  BrokerEvent status_;
};

}  // namespace weir::launcher
