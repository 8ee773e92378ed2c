// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/frame.h"

#include <cstddef>

#include "sdk/topology/topology.h"

namespace weir::wire {
namespace {

template <typename T>
T load(BytesView bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

}  // namespace

Result<FrameView> FrameView::parse(BytesView bytes) {
  const auto broken = [](const char* what) { return Result<FrameView>(Code::kInvalid, what); };
  if (bytes.size() < sizeof(FrameHeader)) return broken("a frame shorter than its header");
  const FrameView frame(bytes);
  const FrameHeader header = frame.header();
  if (header.batches > (bytes.size() - sizeof(FrameHeader)) / sizeof(BatchHeader)) {
    return broken("a frame whose directory is longer than the frame");
  }
  std::uint64_t records = 0;
  std::uint64_t size = frame.batches_start();
  for (std::uint32_t i = 0; i < header.batches; ++i) {
    const BatchHeader batch = frame.batch(i);
    if (batch.count == 0) return broken("a frame with an empty batch");
    if (batch.compression > static_cast<std::uint32_t>(Compression::kZstd))
      return broken("a frame with a batch that is compressed in a way that this version does not know");
    records += batch.count;
    size += batch.bytes;
  }
  if (records != header.records || size != bytes.size())
    return broken("a frame whose directory does not add up to its size");
  return frame;
}

FrameHeader FrameView::header() const { return load<FrameHeader>(bytes_, 0); }

BatchHeader FrameView::batch(std::uint32_t index) const {
  return load<BatchHeader>(bytes_, sizeof(FrameHeader) + index * sizeof(BatchHeader));
}

std::size_t FrameView::batches_start() const { return sizeof(FrameHeader) + header().batches * sizeof(BatchHeader); }

void patch_watermark(std::span<std::byte> frame, Timestamp watermark) {
  std::memcpy(frame.data() + offsetof(FrameHeader, watermark), &watermark, sizeof(watermark));
}

void patch_offset(std::span<std::byte> frame, std::uint32_t index, Offset offset) {
  const std::uint64_t value = offset.value();
  std::memcpy(frame.data() + sizeof(FrameHeader) + index * sizeof(BatchHeader) + offsetof(BatchHeader, offset), &value,
              sizeof(value));
}

}  // namespace weir::wire
