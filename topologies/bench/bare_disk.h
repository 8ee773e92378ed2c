// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sdk/base/result.h"
#include "topologies/bench/measurement.h"
#include "topologies/bench/workload.h"

namespace weir::bench {

/// What the disk of `folder` takes of as many bytes, once each, whoever writes them: one thread writes groups of a MiB
/// into a file that was written full before, and syncs each. About the limit of what is kept under fsync. Errors: kIo.
Result<Measurement> run_bare_disk(const Workload& workload, const std::string& folder);

/// How long such a write of 4 KiB with its sync takes there, one behind the other: what a record waits for at least
/// that is durable before it goes on. Errors: kIo.
Result<Measurement> run_bare_sync(const std::string& folder);

}  // namespace weir::bench
