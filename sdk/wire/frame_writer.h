// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sdk/wire/compression.h"
#include "sdk/wire/frame.h"

namespace weir::wire {

/// Makes one frame behind what is in a buffer already, batch by batch. Lifetime: buffer and compressor must outlive it.
class FrameWriter {
 public:
  /// Of `batches` batches.
  FrameWriter(std::uint32_t stream, std::uint32_t batches, Bytes& out, Compressor& compressor);

  /// REQUIRES: shards rise; `count` records are in `records`, one at least; no more batches than were announced.
  void add(std::uint32_t shard, std::uint32_t count, BytesView records, std::int64_t origin_us);
  /// The frame is complete. REQUIRES: as many batches as were announced.
  void finish();

 private:
  FrameHeader header_;
  std::uint32_t added_ = 0;
  Bytes& out_;
  const std::size_t start_;
  Compressor& compressor_;
};

}  // namespace weir::wire
