// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "broker/journal/checkpoint.h"
#include "sdk/base/bytes.h"
#include "sdk/base/ids.h"
#include "sdk/base/result.h"

namespace weir::journal {

inline constexpr std::uint32_t kBlockBytes = 4096;
/// Kept at the end of each segment, so that a start always finds room behind the copy (FORMAT.md, trap F7).
inline constexpr std::uint32_t kOpeningBytes = 2 * kBlockBytes;
inline constexpr std::uint32_t kFormatVersion = 2;
/// The oldest that is read.
inline constexpr std::uint32_t kFormatVersionMin = 1;

constexpr std::uint32_t block_up(std::uint64_t offset) {
  return static_cast<std::uint32_t>((offset + kBlockBytes - 1) / kBlockBytes * kBlockBytes);
}

/// What block 0 of a segment says. A segment is known by this alone, never by its file's name.
struct SegmentHeader {
  std::uint64_t seed = 0;           ///< the journal's random number: frames' CRCs start from it
  std::uint64_t number = 0;         ///< from 1, one more at each roll-over, never at a start
  std::uint64_t segment_bytes = 0;  ///< capacity
  Sequence sequence_first;          ///< of the first entry behind this header
  Sequence sequence_end_last;       ///< where the last reign ended; of a roll-over: sequence_first
  Sequence mark;                    ///< up to here syncs had come when the header was written
  Reign reign;
  Reign reign_predecessor;               ///< of segment number - 1; 0: there is none
  std::uint32_t copy_end = kBlockBytes;  ///< byte behind the copied blocks; kBlockBytes: nothing copied
  bool opening = false;                  ///< written by a start (which only its opening marks put in force)
  bool sized = true;                     ///< not of format 1: the file always ends behind what is written into it
  std::optional<CheckpointRef> checkpoint_newest;
  std::optional<CheckpointRef> checkpoint_before;
};

/// Block 0. Little endian; the rest of the block is zero and covered by the CRC too.
struct SegmentHeaderWire {
  char magic[8];
  std::uint32_t version;
  std::uint32_t crc;  ///< CRC-32C of the block with this field zero
  std::uint64_t seed;
  std::uint64_t number;
  std::uint64_t segment_bytes;
  std::uint64_t sequence_first;
  std::uint64_t sequence_end_last;
  std::uint64_t mark;
  std::uint32_t reign;
  std::uint32_t reign_predecessor;
  std::uint32_t copy_end;
  std::uint32_t opening;
  CheckpointWire checkpoint_newest;
  CheckpointWire checkpoint_before;
};
static_assert(sizeof(SegmentHeaderWire) == 144);

enum class HeaderState {
  kBlank,       ///< all zero, or not there: a spare
  kUnreadable,  ///< torn or rotten
  kValid,
};

/// One block.
Bytes encode(const SegmentHeader& header);

/// Reads block 0 (`block` may be shorter: then it was never written whole). Fills `header` when the answer is kValid.
/// Errors: kRefused, when the block is whole and of a version that this program does not know.
Result<HeaderState> decode(BytesView block, SegmentHeader& header);

/// "segment-000001": tells files apart, says nothing about what is in them.
std::string segment_file_name(std::uint64_t file_number);
/// The number in a segment file's name; nothing for other files.
std::optional<std::uint64_t> segment_file_number(std::string_view name);

}  // namespace weir::journal
