// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sdk/base/bytes.h"
#include "sdk/base/ids.h"
#include "sdk/base/result.h"

namespace weir::journal {

class Disk;

/// Names a checkpoint file and what the journal must keep for it. The file is known by nothing else: it has no meaning
/// before an entry of kind kCheckpoint that holds this reference is durable.
struct CheckpointRef {
  Sequence through;                      ///< entries before this one are in it
  std::uint64_t segment_needed_min = 0;  ///< the oldest segment that is read by who starts with it, or is being read
  std::uint64_t file_bytes = 0;
  std::uint32_t crc = 0;  ///< CRC-32C of the file, from the journal's seed
  friend bool operator==(const CheckpointRef&, const CheckpointRef&) = default;
};

/// A reference as it stands in a segment's header and as the payload of an entry of kind kCheckpoint. Little endian.
struct CheckpointWire {
  std::uint64_t through;
  std::uint64_t segment_needed_min;
  std::uint64_t file_bytes;
  std::uint32_t crc;
  std::uint32_t present;  ///< 1, or 0: there is none (then all is zero)
};
static_assert(sizeof(CheckpointWire) == 32);

CheckpointWire to_wire(const std::optional<CheckpointRef>& ref);
std::optional<CheckpointRef> from_wire(const CheckpointWire& wire);

/// The payload of an entry of kind kCheckpoint.
Bytes encode(const CheckpointRef& ref);
/// Errors: kCorrupt, when `payload` is no reference.
Result<CheckpointRef> decode_checkpoint_ref(BytesView payload);

/// "checkpoint-<through>-<crc>": named by its content, so that writing one never touches another.
std::string checkpoint_file_name(const CheckpointRef& ref);
bool is_checkpoint_file(std::string_view name);
/// What a checkpoint file's name says: `through` and `crc`; nothing for other files.
std::optional<CheckpointRef> checkpoint_of(std::string_view name);

/// The CRC of a checkpoint file's bytes.
std::uint32_t checkpoint_crc(std::uint64_t seed, BytesView bytes);

/// The verified content. Errors: kCorrupt (missing, too short or too long, wrong CRC), kIo.
Result<Bytes> read_checkpoint_file(Disk& disk, std::uint64_t seed, const CheckpointRef& ref);

/// Writes `bytes` beside the journal under its name, synced with its folder. Errors: kDiskFull, kIo.
Status write_checkpoint_bytes(Disk& disk, const CheckpointRef& ref, BytesView bytes);

}  // namespace weir::journal
