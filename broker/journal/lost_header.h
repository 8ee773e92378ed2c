// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "broker/journal/disk.h"
#include "broker/journal/segment.h"

namespace weir::journal {

/// What the header of a segment must have said, from what stands behind it: reign, copy, first sequence. The number and
/// the predecessor's reign are not known from the file alone (0). Nothing where the file does not tell. For a salvage:
/// a start never guesses. Errors: kIo.
Result<std::optional<SegmentHeader>> rebuild_header(File& file, std::uint64_t seed, std::uint64_t segment_bytes);

}  // namespace weir::journal
