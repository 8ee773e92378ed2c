// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/measurement.h"

namespace weir::bench {

double total_cpu_seconds(const std::vector<ProcessUse>& processes) {
  double seconds = 0;
  for (const ProcessUse& each : processes) seconds += each.cpu_seconds;
  return seconds;
}

}  // namespace weir::bench
