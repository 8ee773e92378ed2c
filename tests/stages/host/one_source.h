// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "stages/host/chain.h"
#include "stages/host/engine.h"
#include "stages/host/runner.h"
#include "weir/source.h"

namespace weir::host {

/// A topology of one source with one stream, and the worker that runs it on `engine`.
class OneSource {
 public:
  OneSource(const weir_descriptor& source, Engine& engine)
      : topology_(topology_of(source)),
        chain_(topology_, 0, 0),
        runner_(topology_, chain_, engine, RunnerClock{[] { return Monotonic{0}; }, [] { return 777; }}) {
    const Status created =
        chain_.create([&](const StageSpec&) { return Result<const weir_descriptor*>(&source); },
                      [](const StageSpec&, const weir_descriptor&) { return Result<std::string>(std::string("{}")); });
    EXPECT_TRUE(created.ok()) << created.error().message;
  }
  Runner& runner() { return runner_; }

  static Topology topology_of(const weir_descriptor& source) {
    Topology topology;
    Stream& stream = topology.streams.emplace_back();
    stream.name = "out";
    stream.shards = 1;
    topology.broker.transaction_bytes_max = 8 << 20;
    StageSpec& spec = topology.stages.emplace_back();
    spec.name = spec.plugin = source.name;
    spec.kind = PluginKind::kSource;
    spec.outputs = {{"out", 0}};
    return topology;
  }

 private:
  const Topology topology_;
  Chain chain_;
  Runner runner_;
};

}  // namespace weir::host
