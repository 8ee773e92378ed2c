// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/restart_policy.h"

#include <algorithm>

namespace weir::launcher {

void RestartPolicy::on_start(Monotonic now) {
  started_ = now;
  proven_ = false;
}

RestartPolicy::Verdict RestartPolicy::on_death(Monotonic now, bool own_fault) {
  if (proven_ || now - started_ >= kLifeMin) {
    deaths_ = 0;
    delay_ = kDelayMin;
  }
  if (own_fault) ++deaths_;
  const Verdict verdict{deaths_ >= kDeathsMax, delay_};
  delay_ = std::min(delay_ * 2, kDelayMax);
  return verdict;
}

}  // namespace weir::launcher
