// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "sdk/base/result.h"
#include "topologies/bench/digest.h"
#include "topologies/bench/measurement.h"

namespace weir::bench {

/// One run of a topology by `weir run`, as a user starts it, in `folder`, where its source and sink leave what they
/// saw.
struct TopologyRun {
  std::string folder;
  std::string durability;
  /// What the sink must get, if the source was first read at that moment.
  std::function<Digest(std::uint64_t started_ns)> expected;
  /// Of the input.
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  bool scraped = false;  ///< its metrics are read meanwhile
  std::chrono::seconds time_max{600};

  /// Errors: kIo where it fails or takes longer; kCorrupt where the sink did not get what is expected.
  [[nodiscard]] Result<Measurement> run(const nlohmann::ordered_json& topology) const;
};

}  // namespace weir::bench
