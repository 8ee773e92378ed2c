// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "sdk/base/bytes.h"
#include "sdk/base/ids.h"

namespace weir::journal {

/// What an entry is to the journal. Numbers are never reused.
enum class EntryKind : std::uint8_t {
  kRecord = 1,      ///< the broker's: a transaction, a decision
  kCheckpoint = 2,  ///< payload: encode(CheckpointRef)
};

/// What a frame is. The last two are the journal's own and take no sequence.
enum class FrameKind : std::uint16_t { kRecord = 1, kCheckpoint = 2, kMark = 3, kOpening = 4 };

/// Stands before each payload. Little endian. Frames of a group lie one behind the other, each at a multiple of 8
/// bytes; a group starts on a block and the rest of its last block is zero.
struct FrameHeader {
  std::uint32_t header_crc;     ///< CRC-32C of the fields below
  std::uint32_t payload_crc;    ///< CRC-32C of the payload
  std::uint32_t payload_bytes;  ///< without padding
  std::uint32_t group_bytes;    ///< in a group's first frame: all its frames with padding; else 0
  std::uint64_t sequence;       ///< of a mark: of the entry that comes next
  std::uint64_t mark;           ///< in a group's first frame: syncs had come up to here; else 0
  std::uint32_t reign;          ///< of the writer
  std::uint16_t kind;
  std::uint16_t reserved;  ///< 0
};
static_assert(sizeof(FrameHeader) == 40);

inline constexpr std::uint32_t kFrameAlign = 8;

/// What a frame with `payload_bytes` takes, padding included.
constexpr std::uint64_t frame_bytes(std::uint64_t payload_bytes) {
  return (sizeof(FrameHeader) + payload_bytes + kFrameAlign - 1) / kFrameAlign * kFrameAlign;
}

/// Where both CRCs of a frame at `offset` start: from the journal's random number, so that records which contain
/// another journal's bytes never look like entries, and from the place, so that its own bytes elsewhere do not either.
std::uint32_t crc_start(std::uint64_t seed, std::uint64_t offset);

/// Fills both CRCs of `header` for a payload given in parts.
void seal(FrameHeader& header, std::uint64_t seed, std::uint64_t offset, std::span<const BytesView> payload);

enum class FrameCheck {
  kInvalid,  ///< no frame, or a broken one
  kUnknown,  ///< whole, but of a kind that this program does not know
  kValid,
};

/// Judges the header alone; its CRC covers the payload's CRC.
FrameCheck check_header(const FrameHeader& header, std::uint64_t seed, std::uint64_t offset);
bool check_payload(const FrameHeader& header, std::uint64_t seed, std::uint64_t offset, BytesView payload);

/// The two blocks that put a reign in force: always the same bytes for the same arguments, so that they can be written
/// again. Payload: the seed, which makes them readable where every header is lost.
Bytes encode_opening_marks(std::uint64_t seed, Reign reign, Sequence end, std::uint64_t offset);

/// One block: a mark alone.
Bytes encode_mark(std::uint64_t seed, Reign reign, Sequence next, Sequence mark, std::uint64_t offset);

}  // namespace weir::journal
