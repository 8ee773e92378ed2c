// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "broker/core/core.h"
#include "broker/journal/journal.h"

namespace weir::server {

/// Seconds counted by bucket.
struct SecondsProbe {
  std::vector<std::uint64_t> buckets;
  double sum = 0;
  void add(double seconds);
};

/// What the server measures beside the core's probes.
struct ServerProbe {
  SecondsProbe commit_seconds;  ///< from the judgement of a transaction until it is settled
  SecondsProbe fsync_seconds;
  double recovery_seconds = 0;
};

/// All metrics of a broker in Prometheus' text format.
std::string render_metrics(const core::Core& core, const ServerProbe& server, const journal::JournalProbe& journal);

}  // namespace weir::server
