// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "topologies/bench/bench.h"
#include "topologies/bench/digest.h"

namespace weir::bench {

/// One run of a series.
struct Point {
  std::string at;  ///< what is different in it
  std::string durability;
  nlohmann::ordered_json topology;
  std::uint64_t records = 0;  ///< of the input
  std::uint64_t bytes = 0;
  std::function<Digest()> expected;
  bool scraped = false;  ///< its metrics are read meanwhile
};

/// Runs of the same topology that differ in one thing, to see what it costs.
struct Series {
  std::string name;
  std::vector<Point> points;
};

/// curve_record_bytes, curve_shards, curve_streams, curve_sources, curve_keys, prices.
const std::vector<std::string>& series_names();

/// REQUIRES: `name` is one of series_names().
Series make_series(const std::string& name, const Plan& plan);

}  // namespace weir::bench
