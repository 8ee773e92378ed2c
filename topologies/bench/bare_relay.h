// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "sdk/base/result.h"
#include "topologies/bench/measurement.h"
#include "topologies/bench/workload.h"

namespace weir::bench {

/// What ZeroMQ alone does with as many bytes: three processes, PUSH to PULL, PUSH to PULL, in frames of 64 KiB that
/// nobody looks into. Nothing is kept, nothing is acknowledged. Errors: kIo.
Result<Measurement> run_bare_relay(const Workload& workload);

}  // namespace weir::bench
