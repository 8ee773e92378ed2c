// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sdk/base/result.h"

namespace weir::launcher {

/// What a commit costs on a disk: the median of one write of kSyncProbeBytes with fdatasync.
struct SyncCost {
  double growing_ms = 0;      ///< behind the end of a file
  double overwriting_ms = 0;  ///< onto blocks that a file has already, as the journal's recycled segments do
};
inline constexpr std::size_t kSyncProbeBytes = 64 << 10;

/// Measures in `folder` with a file that has no name there. Takes well below a second on usual disks. Errors: kIo.
Result<SyncCost> measure_sync(const std::string& folder);

}  // namespace weir::launcher
