// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/sync_probe.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "sdk/base/clock.h"
#include "topologies/launcher/fd.h"

namespace weir::launcher {
namespace {

constexpr int kRounds = 32;

/// Milliseconds of the median round; negative where one failed.
double median_round(int fd, const std::vector<char>& block) {
  std::vector<double> rounds;
  for (int i = 0; i < kRounds; ++i) {
    const Monotonic start = monotonic_now();
    const auto at = static_cast<off_t>(static_cast<std::size_t>(i) * block.size());
    if (::pwrite(fd, block.data(), block.size(), at) != static_cast<ssize_t>(block.size()) || ::fdatasync(fd) != 0)
      return -1;
    rounds.push_back(static_cast<double>((monotonic_now() - start).count()) / 1000);
  }
  std::ranges::nth_element(rounds, rounds.begin() + kRounds / 2);
  return rounds[kRounds / 2];
}

}  // namespace

Result<SyncCost> measure_sync(const std::string& folder) {
  std::string path = folder + "/weir-doctor-XXXXXX";
  const Fd file(::mkostemp(path.data(), O_CLOEXEC));
  if (!file) return {Code::kIo, fmt::format("{} cannot be written: {}", folder, ::strerror(errno))};
  ::unlink(path.c_str());
  const std::vector<char> block(kSyncProbeBytes, 'w');
  const SyncCost cost{median_round(file.get(), block), median_round(file.get(), block)};
  if (cost.growing_ms < 0 || cost.overwriting_ms < 0)
    return {Code::kIo, fmt::format("a write or sync in {} failed: {}", folder, ::strerror(errno))};
  return cost;
}

}  // namespace weir::launcher
