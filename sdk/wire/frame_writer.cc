// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/frame_writer.h"

#include "sdk/base/check.h"

namespace weir::wire {

FrameWriter::FrameWriter(std::uint32_t stream, std::uint32_t batches, Bytes& out, Compressor& compressor)
    : header_{stream, batches, 0, 0}, out_(out), start_(out.size()), compressor_(compressor) {
  out_.resize(start_ + sizeof(FrameHeader) + batches * sizeof(BatchHeader));
}

void FrameWriter::add(std::uint32_t shard, std::uint32_t count, BytesView records, std::int64_t origin_us) {
  WEIR_CHECK(added_ < header_.batches, "a frame has the batches that were announced");
  const std::size_t at = out_.size();
  const Compression compression = compressor_.append(records, out_);
  BatchHeader batch;
  batch.shard = shard;
  batch.count = count;
  batch.bytes = static_cast<std::uint32_t>(out_.size() - at);
  batch.compression = static_cast<std::uint32_t>(compression);
  batch.origin_us = origin_us;
  std::memcpy(out_.data() + start_ + sizeof(FrameHeader) + added_ * sizeof(BatchHeader), &batch, sizeof(batch));
  ++added_;
  header_.records += count;
}

void FrameWriter::finish() {
  WEIR_CHECK(added_ == header_.batches, "a frame has the batches that were announced");
  std::memcpy(out_.data() + start_, &header_, sizeof(header_));
}

}  // namespace weir::wire
