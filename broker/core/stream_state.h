// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <deque>
#include <vector>

#include "broker/core/buffer.h"
#include "broker/core/place.h"
#include "broker/core/segment_use.h"
#include "sdk/topology/topology.h"
#include "sdk/wire/frame.h"

namespace weir::core {

/// A frame of a stream: where it lies, and its bytes while they are wanted in memory.
struct FrameSlot {
  Sequence sequence;
  Place place;
  std::uint64_t records = 0;
  std::int64_t origin_us =
      0;  ///< wall clock when the first of its records, or what they come from, was read; 0: unknown
  /// Of the stream, as it stood before the frame; INT64_MIN: unknown, of one that a start has not looked at.
  Timestamp watermark = INT64_MIN;
  Buffer bytes;          ///< empty: read it back first
  bool loading = false;  ///< a read is under way
  /// Which of the first eight shards it holds records of, by bit; all where it was not looked at since the start.
  std::uint8_t lanes = 0xff;
  [[nodiscard]] bool may_hold(std::uint32_t shard) const { return shard >= 8 || (lanes >> shard & 1) != 0; }
};

/// One stream: its kept frames in journal order, numbered from 0 for ever, and what its records add up to. Which frames
/// are waited for follows from the cursors of its groups, which their units hold; those before are kept as long as
/// `retention` wants. Thread: the core's.
class StreamState {
 public:
  explicit StreamState(const Stream& spec) : next_offsets_(spec.shards, 0), kept_from_(spec.shards, 0) {}

  /// Appends a frame. Offsets that the producer left open must be patched in already.
  void append(FrameSlot slot, const wire::FrameView& view);
  /// No group waits for a frame before `frame`.
  void set_waited_from(std::uint64_t frame);
  /// Forgets all frames before `frame`, and answers how many bytes of them were in memory. REQUIRES: no group waits for
  /// one.
  std::uint64_t release_before(std::uint64_t frame);
  [[nodiscard]] std::uint64_t waited_from() const { return waited_from_; }
  /// Bytes of the frames that some group waits for.
  [[nodiscard]] std::uint64_t bytes_waiting() const { return bytes_waiting_; }

  [[nodiscard]] std::uint64_t first_frame() const { return first_frame_; }
  [[nodiscard]] std::uint64_t end_frame() const { return first_frame_ + frames_.size(); }
  /// The frame lies there now.
  void place(std::uint64_t frame, const Place& place);
  [[nodiscard]] const SegmentUse& use() const { return use_; }
  [[nodiscard]] FrameSlot& slot(std::uint64_t frame) { return frames_[frame - first_frame_]; }
  [[nodiscard]] const FrameSlot& slot(std::uint64_t frame) const { return frames_[frame - first_frame_]; }
  [[nodiscard]] bool holds(std::uint64_t frame) const { return frame >= first_frame_ && frame < end_frame(); }

  [[nodiscard]] std::uint64_t next_offset(std::uint32_t shard) const { return next_offsets_[shard]; }
  /// Where a group that is new begins. Records before it may be gone: no group of the topology waited for them when the
  /// topology last changed (Ledger::revise).
  [[nodiscard]] std::uint64_t kept_from(std::uint32_t shard) const { return kept_from_[shard]; }
  void raise_kept_from(std::uint32_t shard, std::uint64_t to) { kept_from_[shard] = std::max(kept_from_[shard], to); }
  [[nodiscard]] std::uint32_t shards() const { return static_cast<std::uint32_t>(next_offsets_.size()); }
  [[nodiscard]] std::uint64_t bytes_kept() const { return bytes_kept_; }
  /// Records that go from worker to worker, not in a frame: `records` more were emitted, and `arrivals` are on their
  /// way or have come: of `pub_sub` one for each reader of each.
  void pass_by(std::uint64_t records, std::uint64_t bytes, std::uint64_t arrivals) {
    next_offsets_.front() += arrivals;
    records_total_ += records;
    bytes_total_ += bytes;
  }
  [[nodiscard]] std::uint64_t records_total() const { return records_total_; }
  [[nodiscard]] std::uint64_t bytes_total() const { return bytes_total_; }

  [[nodiscard]] Timestamp watermark() const { return watermark_; }
  /// A watermark never goes back (I8).
  void raise_watermark(Timestamp to) { watermark_ = std::max(watermark_, to); }
  /// The watermark as it stood before a frame; INT64_MIN where that is unknown, or there is no such frame.
  [[nodiscard]] Timestamp watermark_before(std::uint64_t frame) const;

  /// Where its shards begin, of one that learns that; none: everything lies in shard 0 so far.
  std::vector<Boundary> boundaries;
  std::uint64_t boundary_moves = 0;  ///< since the directory began, the first time included
  /// Records that went from worker to worker and did not arrive, since the directory began.
  std::uint64_t lost = 0;
  bool external_ended = false;  ///< an end mark came from outside
  bool ended = false;           ///< nothing will be appended any more; derived, see Ledger::refresh_ends
  /// Records that retention would have kept, and that went for want of memory since this process began.
  std::uint64_t retained_less = 0;

 private:
  friend class LedgerCodec;
  std::deque<FrameSlot> frames_;
  SegmentUse use_;
  std::uint64_t first_frame_ = 0;
  std::vector<std::uint64_t> next_offsets_;
  std::uint64_t waited_from_ = 0;  ///< derived, as is bytes_waiting_
  std::uint64_t bytes_waiting_ = 0;
  std::vector<std::uint64_t> kept_from_;
  std::uint64_t bytes_kept_ = 0;
  std::uint64_t records_total_ = 0;
  std::uint64_t bytes_total_ = 0;
  Timestamp watermark_ = INT64_MIN;
};

}  // namespace weir::core
