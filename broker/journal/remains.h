// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "broker/journal/frame.h"
#include "broker/journal/segment.h"
#include "broker/journal/segment_reader.h"

namespace weir::journal {

/// Walks all entries of a segment that can be read, those behind damage too: what ChainReader is to a start, this is to
/// a person who wants to know what is left. A frame counts by the rules of a chain (its CRCs, which hold seed and
/// place; the reigns that its place allows; sequences that rise), so nothing is taken that was not written there; since
/// a reign gives a sequence to one entry only, what lies behind a gap belongs to the same history.
/// Lifetime: `file` must outlive it.
class Remains {
 public:
  struct Entry {
    FrameHeader frame;
    std::uint32_t offset = 0;
    BytesView payload;          ///< valid until the next read; empty for marks
    Sequence lost_from;         ///< entries [lost_from, frame.sequence) are not readable
    std::uint32_t lost_at = 0;  ///< where the first of these should start
    [[nodiscard]] bool is_mark() const {
      return frame.kind == static_cast<std::uint16_t>(FrameKind::kMark) ||
             frame.kind == static_cast<std::uint16_t>(FrameKind::kOpening);
    }
    [[nodiscard]] bool gap() const { return lost_from.value() < frame.sequence; }
  };

  Remains(File& file, const SegmentHeader& header);

  /// The next entry or mark, or nothing where nothing more can be read. Errors: kIo.
  Result<std::optional<Entry>> next();

  /// Behind the last entry given.
  [[nodiscard]] Sequence sequence() const { return sequence_; }
  /// Where what is not readable any more begins, once next() has given nothing.
  [[nodiscard]] std::uint32_t end_offset() const { return broken_at_.value_or(at_); }
  /// Byte behind the last entry given, padding included.
  [[nodiscard]] std::uint32_t content_end() const { return content_end_; }

 private:
  /// The header of a frame at `offset` that may stand there, its CRC checked, not its payload.
  Result<std::optional<FrameHeader>> frame(std::uint32_t offset);
  [[nodiscard]] bool fits(const FrameHeader& header, std::uint32_t offset) const;

  const SegmentHeader header_;
  Window window_;
  Sequence sequence_;
  std::uint32_t at_ = kBlockBytes;  ///< where a frame may stand next
  std::uint32_t group_end_ = 0;     ///< of the group that at_ is in
  std::uint32_t content_end_ = kBlockBytes;
  std::optional<std::uint32_t> broken_at_;  ///< first place that failed since the last entry given
  Sequence passed_;                         ///< behind the highest sequence that a whole header has shown
};

}  // namespace weir::journal
