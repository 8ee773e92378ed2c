// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "broker/journal/disk.h"
#include "broker/journal/segment.h"

namespace weir::journal {

/// A segment's file that was not made full grows ahead of what is written into it, and is synced longer before that is
/// written: so it always ends behind the last group, and one that does not was cut short (FORMAT.md, "Recovery").
/// Room for a group's mark, for the zeros behind that, and one block that nothing is ever written into.
inline constexpr std::uint64_t kGrowthLead = 3ULL * kBlockBytes;
inline constexpr std::uint64_t kGrowthStepMin = 64 << 10;

/// How long the file of a segment is at least when what is written into it ends at `end`.
constexpr std::uint64_t file_bytes_for(std::uint64_t end, std::uint64_t segment_bytes) {
  return std::min(segment_bytes, end + kGrowthLead);
}

/// How long it is made then: in steps, each of which costs a sync, and larger ones where more has come already.
constexpr std::uint64_t grown_bytes(std::uint64_t end, std::uint64_t segment_bytes) {
  const auto of_blocks = [](std::uint64_t bytes) { return bytes / kBlockBytes * kBlockBytes; };
  const std::uint64_t least = std::max(kGrowthStepMin, of_blocks(segment_bytes / 64));
  const std::uint64_t step = std::clamp(of_blocks(end / 4), least, std::max(least, of_blocks(segment_bytes / 16)));
  return std::min(segment_bytes, (end + kGrowthLead + step - 1) / step * step);
}

/// Writes zeros from the end of `file` up to `bytes` and syncs it. Errors: kDiskFull (it may be somewhat longer), kIo.
Status grow(File& file, std::uint64_t bytes);

}  // namespace weir::journal
