// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <set>

#include "sdk/base/bytes.h"
#include "sdk/base/result.h"
#include "stages/host/chain.h"
#include "stages/host/engine.h"
#include "stages/host/runner_clock.h"

namespace weir::host {

/// What the sink of a chain has open: a target for each of its lanes, or one for all. Without a sink, nothing.
/// Thread: the runner's. Lifetime: what it is given must outlive it.
class SinkTargets {
 public:
  SinkTargets(Chain& chain, Engine& engine, const RunnerClock& clock) : chain_(chain), engine_(engine), clock_(clock) {}

  /// Opens the lane's target, if it is not, where `position` was committed. One that is still another's is waited for
  /// until something urgent comes, `beat` being called where one is due. Errors: kRefused with what the sink says.
  Status open(std::uint32_t lane, BytesView position, const std::function<void()>& beat);
  /// The lane goes; `last`: no other is left.
  void let_go(std::uint32_t lane, bool last);
  void close_all();

 private:
  void close(std::uint32_t target);

  Chain& chain_;
  Engine& engine_;
  const RunnerClock& clock_;
  std::set<std::uint32_t> open_;
};

}  // namespace weir::host
