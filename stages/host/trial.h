// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "sdk/base/result.h"
#include "sdk/topology/topology.h"
#include "stages/host/engine.h"
#include "stages/host/instance.h"
#include "stages/host/restored_lane.h"
#include "weir/abi.h"

namespace weir::host {

/// Asks a stage library whether a stage could go on with the state that there is, before an upgrade moves anything
/// (weir_descriptor.state_try). Holds the state of one shard at a time. Thread: the one that calls run(). Lifetime:
/// topology, descriptor and engine must outlive it.
class Trial {
 public:
  Trial(const Topology& topology, std::uint32_t stage, const weir_descriptor& plugin, Engine& engine)
      : plugin_(plugin), engine_(engine), instance_(plugin, topology, stage, 0, transaction_) {}

  /// What was read. A value that `unknown` counts may or may not be readable: the library does not say.
  struct Outcome {
    std::uint64_t shards = 0;
    std::uint64_t values = 0;
    std::uint64_t unknown = 0;
  };
  /// Makes the plugin's object with `config`, and takes the state of every shard. Errors: kRefused with the plugin's
  /// sentence, or one about the value that it cannot read; kUnavailable where the broker ends it.
  Result<Outcome> run(const std::string& config);

 private:
  Status take(const wire::StatePart& part);
  Status judge(std::uint32_t shard, const wire::Change& change);

  const weir_descriptor& plugin_;
  Engine& engine_;
  Transaction transaction_;
  Instance instance_;
  std::map<std::uint32_t, RestoredLane> lanes_;
  Outcome outcome_;
};

}  // namespace weir::host
