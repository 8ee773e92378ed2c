// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "broker/core/place.h"
#include "sdk/base/bytes.h"
#include "sdk/base/result.h"

namespace weir::core {

/// Something in an old segment that is still needed: a frame of a stream, or changes of a stage's state.
struct CopyItem {
  enum class Kind : std::uint8_t { kFrame = 1, kChanges = 2 };
  Kind kind{};
  std::uint32_t index = 0;   ///< of the stream, or of the stage
  std::uint32_t lane = 0;    ///< of the changes
  std::uint64_t number = 0;  ///< of the frame, or sequence of the entry that changed the state
  Place place;               ///< where it lies; within an encoded copy: of its bytes there
};

/// Items to be read where they lie and written again at the journal's head, so that their segment is free.
struct CopyJob {
  std::vector<CopyItem> items;
  std::vector<Bytes> bytes;  ///< of each item; filled in by whoever does the job
};

/// Body of EntryType::kCopied; `items` and `bytes` go together.
Bytes encode_copied(std::span<const CopyItem> items, std::span<const BytesView> bytes);
/// The items of a copy, `place.at` and `place.size` being those of their bytes within `payload`, whose body begins at
/// `body_at`.
Result<std::vector<CopyItem>> decode_copied(BytesView payload, std::size_t body_at);

}  // namespace weir::core
