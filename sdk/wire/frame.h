// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "sdk/base/bytes.h"
#include "sdk/base/ids.h"
#include "sdk/base/result.h"

namespace weir::wire {

/// What one transaction emits to one stream: this header, a directory of batches, then their bytes in the same order.
/// The producer leaves `watermark` and each `offset` zero; the broker fills them in where the frame lies, in the buffer
/// that it then journals.
struct FrameHeader {
  std::uint32_t stream = 0;  ///< index in the topology
  std::uint32_t batches = 0;
  std::uint64_t records = 0;  ///< over all batches
  Timestamp watermark = 0;    ///< of the stream, as it stood before the transaction
};
static_assert(sizeof(FrameHeader) == 24);

/// One batch of a frame.
struct BatchHeader {
  std::uint32_t shard = 0;
  std::uint32_t count = 0;  ///< records, at least 1
  std::uint32_t bytes = 0;
  std::uint32_t compression = 0;  ///< of the bytes, a number of Compression (compression.h); 0: they are the records
  std::uint64_t offset = 0;       ///< of the first record
  std::int64_t origin_us = 0;     ///< wall clock when a source emitted the oldest record behind this batch
};
static_assert(sizeof(BatchHeader) == 32);

/// A frame whose directory is proven to fit its bytes. Borrows them.
class FrameView {
 public:
  /// Errors: kInvalid where counts and sizes do not add up exactly.
  static Result<FrameView> parse(BytesView bytes);

  [[nodiscard]] FrameHeader header() const;
  [[nodiscard]] BatchHeader batch(std::uint32_t index) const;
  /// Where the bytes of batch 0 start, counted from the frame's start; those of the next follow.
  [[nodiscard]] std::size_t batches_start() const;
  [[nodiscard]] BytesView bytes() const { return bytes_; }

 private:
  explicit FrameView(BytesView bytes) : bytes_(bytes) {}
  BytesView bytes_;
};

/// Fills in what the broker decides, in place. `frame` must have passed FrameView::parse.
void patch_watermark(std::span<std::byte> frame, Timestamp watermark);
void patch_offset(std::span<std::byte> frame, std::uint32_t index, Offset offset);

/// A batch on its way to a worker. Count 0: no records, only how far event time has come at this place of the shard.
struct DeliveryHeader {
  std::uint32_t stream = 0;
  std::uint32_t shard = 0;
  std::uint32_t count = 0;
  std::uint32_t bytes = 0;
  std::uint64_t offset = 0;
  Timestamp watermark = 0;
  std::int64_t origin_us = 0;
  std::uint32_t skip = 0;         ///< of a compressed batch: so many of its records come before the first that is meant
  std::uint16_t compression = 0;  ///< as in BatchHeader
  std::uint8_t cut = 0;           ///< 1: a compressed batch has other records than the `count` that are meant
  std::uint8_t awaited = 0;       ///< 1: nothing else is delivered until these records are committed
};
static_assert(sizeof(DeliveryHeader) == 48);

}  // namespace weir::wire
