// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sdk/base/result.h"
#include "topologies/bench/measurement.h"
#include "topologies/bench/workload.h"

namespace weir::bench {

/// The path of the latency topology over ZeroMQ alone: source, relay, stage, the same relay, sink, a message a record,
/// in four processes. The source sends each record when it is due, whatever became of those before it. `folder` is
/// where the sink leaves its latencies. Errors: kIo.
Result<Measurement> run_bare_path(const Workload& workload, double rate, const std::string& folder);

}  // namespace weir::bench
