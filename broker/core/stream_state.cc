// SPDX-License-Identifier: Apache-2.0
#include "broker/core/stream_state.h"

namespace weir::core {

void StreamState::append(FrameSlot slot, const wire::FrameView& view) {
  const wire::FrameHeader header = view.header();
  slot.lanes = 0;
  for (std::uint32_t i = 0; i < header.batches; ++i) {
    const wire::BatchHeader batch = view.batch(i);
    WEIR_CHECK(batch.offset == next_offsets_[batch.shard], "offsets of a shard have no gaps");
    next_offsets_[batch.shard] += batch.count;
    if (batch.shard < 8) slot.lanes = static_cast<std::uint8_t>(slot.lanes | 1U << batch.shard);
    if (batch.origin_us != 0 && (slot.origin_us == 0 || batch.origin_us < slot.origin_us))
      slot.origin_us = batch.origin_us;
  }
  slot.records = header.records;
  slot.watermark = header.watermark;
  use_.add(slot.place.segment);
  bytes_kept_ += slot.place.size;
  bytes_waiting_ += slot.place.size;
  bytes_total_ += slot.place.size;
  records_total_ += header.records;
  frames_.push_back(std::move(slot));
}

void StreamState::place(std::uint64_t frame, const Place& place) {
  FrameSlot& moved = slot(frame);
  use_.remove(moved.place.segment);
  moved.place = place;
  use_.add(place.segment);
}

void StreamState::set_waited_from(std::uint64_t frame) {
  for (; waited_from_ < frame; ++waited_from_) {
    if (holds(waited_from_)) bytes_waiting_ -= slot(waited_from_).place.size;
  }
  // A replay goes back.
  while (waited_from_ > frame) {
    if (holds(--waited_from_)) bytes_waiting_ += slot(waited_from_).place.size;
  }
}

std::uint64_t StreamState::release_before(std::uint64_t frame) {
  std::uint64_t freed = 0;
  while (first_frame_ < frame && !frames_.empty()) {
    use_.remove(frames_.front().place.segment);
    bytes_kept_ -= frames_.front().place.size;
    freed += frames_.front().bytes.bytes.size();
    frames_.pop_front();
    ++first_frame_;
  }
  return freed;
}

Timestamp StreamState::watermark_before(std::uint64_t frame) const {
  return frame < first_frame_ || frame >= end_frame() ? INT64_MIN : slot(frame).watermark;
}

}  // namespace weir::core
