// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sdk/base/result.h"
#include "topologies/bench/measurement.h"

namespace weir::bench {

/// What is to be measured.
struct Plan {
  std::vector<std::string> topologies;
  std::vector<std::string> durabilities;
  std::uint64_t records = 0;
  std::uint64_t keys = 0;
  std::size_t record_bytes = 0;
  double rate = 0;           ///< records a second where latency is measured
  double seconds = 0;        ///< and for how long
  std::string commit_after;  ///< of all stages of a topology; empty: the topologies' default
  int rounds = 1;            ///< each is measured so often, all in turn; the median is told
  std::string folder;        ///< on the disk that is meant; what is made in it is removed
};

/// Told before each run what is measured next.
using Tell = std::function<void(std::string_view)>;

/// Measures all of it, each topology between two runs of the bare relay, which its ratio is to: what else happens on
/// the machine changes within seconds. Errors: kIo; kCorrupt where a result is wrong.
Result<std::vector<Measurement>> measure(const Plan& plan, const Tell& tell);

}  // namespace weir::bench
