// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "topologies/bench/latency.h"

namespace weir::bench {

/// What one process used until it ended.
struct ProcessUse {
  std::string process;
  double cpu_seconds = 0;
  std::uint64_t peak_bytes = 0;
};

double total_cpu_seconds(const std::vector<ProcessUse>& processes);

/// What one run gave, of Weir or of a baseline, once its result was found right.
struct Measurement {
  std::string what;
  std::optional<std::string> durability = {};  ///< nothing for a baseline
  std::optional<std::string> at = {};          ///< in a series: what is different in this run
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  double seconds = 0;                               ///< from the first record to the last
  std::optional<double> command_seconds = {};       ///< of `weir run`, from command to exit
  std::optional<double> first_result_seconds = {};  ///< of `weir run`, from command to the sink's first record
  double cpu_seconds = 0;                           ///< of all processes, also those that no ProcessUse names
  std::vector<ProcessUse> processes;
  std::optional<double> of_bare_relay = {};  ///< its records a second in relation to those of the bare relay beside it
  std::optional<Latency> latency = {};       ///< where records come at a rate
  /// Its latency at the 50th and 99th percentile in relation to that of the same path over bare ZeroMQ beside it.
  std::optional<std::pair<double, double>> of_bare_path = {};

  [[nodiscard]] double records_per_second() const { return static_cast<double>(records) / seconds; }
};

}  // namespace weir::bench
