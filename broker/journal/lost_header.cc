// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/lost_header.h"

#include <algorithm>

#include "broker/journal/segment_reader.h"

namespace weir::journal {

Result<std::optional<SegmentHeader>> rebuild_header(File& file, std::uint64_t seed, std::uint64_t segment_bytes) {
  Reign reign;                         // no group in a file is of a higher reign than its header
  std::optional<FrameHeader> opening;  // of the highest reign
  std::uint32_t opening_at = 0;
  std::optional<FrameHeader> first;
  Window window(file);
  Status scanned =
      scan_groups(window, seed, kBlockBytes, file.size(), [&](const FrameHeader& frame, std::uint32_t offset) {
        if (offset == kBlockBytes) first = frame;
        reign = std::max(reign, Reign(frame.reign));
        const bool opens = frame.kind == static_cast<std::uint16_t>(FrameKind::kOpening);
        if (opens && (!opening || frame.reign > opening->reign)) {
          opening = frame;
          opening_at = offset;
        }
        return Status();
      });
  if (!scanned.ok()) return scanned.error();
  if (!first) return std::optional<SegmentHeader>();
  SegmentHeader header;
  header.seed = seed;
  header.segment_bytes = segment_bytes;
  header.reign = reign;
  header.sequence_first = Sequence(first->sequence);
  header.sequence_end_last = header.sequence_first;
  // A start's copy begins at or before the sequence at which it opened. A roll-over of the same reign into the file of
  // that start, recycled, begins behind it; then the opening marks are left over.
  header.opening = opening && Reign(opening->reign) == reign && first->sequence <= opening->sequence;
  if (header.opening) {
    header.sequence_end_last = Sequence(opening->sequence);
    header.copy_end = opening_at;
    // Of two marks the first may be the one that is damaged: then the copy seems to be a block longer, which only lets
    // a group of an older reign stand where there can be none.
  } else if (Reign(first->reign) != reign) {
    return std::optional<SegmentHeader>();  // its first group was never written, or is damaged: the rest is left over
  }
  if (header.copy_end + kOpeningBytes > segment_bytes) return std::optional<SegmentHeader>();
  return std::optional<SegmentHeader>(header);
}

}  // namespace weir::journal
