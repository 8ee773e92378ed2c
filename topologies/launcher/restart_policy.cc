// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/restart_policy.h"

#include <algorithm>

namespace weir::launcher {

void RestartPolicy::on_start(Monotonic now) {
  started_ = now;
  proven_ = false;
}

RestartPolicy::Verdict RestartPolicy::on_death(Monotonic now, Death death, std::uint32_t retries) {
  if (proven_ || (death != Death::kHung && now - started_ >= kLifeMin)) {
    deaths_ = 0;
    delay_ = kDelayMin;
  }
  // Long life is no sign here: a record may take its whole deadline, time after time.
  if (proven_) record_deaths_ = 0;
  if (death == Death::kOfRecord) {
    ++record_deaths_;
    return {record_deaths_ >= std::int64_t{kRecordDeathsMax} + retries, kDelayMin};
  }
  if (death == Death::kOwnFault || death == Death::kHung) ++deaths_;
  const Verdict verdict{deaths_ >= kDeathsMax, delay_};
  delay_ = std::min(delay_ * 2, kDelayMax);
  return verdict;
}

}  // namespace weir::launcher
