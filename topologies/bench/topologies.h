// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "topologies/bench/workload.h"

namespace weir::bench {

/// The files that a topology's own source and sink write, beside it.
inline constexpr const char* kStartedFile = "started.json";
inline constexpr const char* kReportFile = "report.json";
inline constexpr const char* kLatenciesFile = "latencies";
inline constexpr const char* kTextFile = "text.txt";

/// The topologies by which throughput is measured, in the order in which they are told.
const std::vector<std::string>& topology_names();

/// What is asked for by this name is measured by latency instead.
inline constexpr const char* kLatency = "latency";

/// How soon a topology gives a result, and is over.
inline constexpr const char* kStart = "start";

/// The topology of that name, all of whose stages have this `commit_after`, or, where it is empty, the default.
/// REQUIRES: it is one of topology_names().
nlohmann::ordered_json make_topology(const std::string& name, const Workload& workload,
                                     const std::string& commit_after = {});

/// Adds up numbers from 1 to kSumTo, each under a key of its own: over at once, so that what is left is starting and
/// ending.
nlohmann::ordered_json make_sum_topology();
inline constexpr std::int64_t kSumTo = 10;

/// One source through so many queues, at most 16, into one sink: each record by the next one.
nlohmann::ordered_json make_spread_topology(const Workload& workload, std::uint64_t streams);

/// So many sources, each with a queue of its own, into one sink; `workload` is what each emits.
nlohmann::ordered_json make_parallel_topology(const Workload& workload, std::uint64_t streams);

/// In the place of the stage "sum": it emits as much, and keeps no state.
nlohmann::ordered_json make_stateless_stage();

/// A source that emits at `rate`, a queue, a stage that does nothing, a queue, a sink.
nlohmann::ordered_json make_latency_topology(const Workload& workload, double rate);

}  // namespace weir::bench
