// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace weir::core {

/// How much of each stream is in the broker's memory for those who have yet to get it. The bytes themselves are with
/// the frames (stream_state.h); what is not there is read from the journal. Thread: the core's.
class HotFrames {
 public:
  /// Another stream, with these frames in the journal and none in memory.
  void add(std::uint64_t first_frame, std::uint64_t end_frame) { streams_.push_back({0, first_frame, end_frame}); }
  [[nodiscard]] std::uint32_t streams() const { return static_cast<std::uint32_t>(streams_.size()); }

  void came_in(std::uint32_t stream, std::uint64_t bytes) { hold(stream, bytes); }
  void came_back(std::uint32_t stream, std::uint64_t frame, std::uint64_t bytes) {
    hold(stream, bytes);
    streams_[stream].from = std::min(streams_[stream].from, frame);
  }
  /// All have got what is before `frame`.
  void passed(std::uint32_t stream, std::uint64_t frame) {
    streams_[stream].from = std::max(streams_[stream].from, frame);
  }
  void dropped(std::uint32_t stream, std::uint64_t bytes) {
    streams_[stream].bytes -= bytes;
    total_ -= bytes;
  }
  /// For want of room, and somebody has yet to get it.
  void dropped_unread(std::uint32_t stream, std::uint64_t frame, std::uint64_t bytes) {
    dropped(stream, bytes);
    streams_[stream].cold_to = std::max(streams_[stream].cold_to, frame + 1);
  }

  [[nodiscard]] std::uint64_t total() const { return total_; }
  [[nodiscard]] std::uint64_t of(std::uint32_t stream) const { return streams_[stream].bytes; }
  /// Of what is before this frame nothing is in memory.
  [[nodiscard]] std::uint64_t from(std::uint32_t stream) const { return streams_[stream].from; }
  /// Whoever reads it is so far behind that some of it comes from the journal.
  [[nodiscard]] bool lags(std::uint32_t stream) const { return streams_[stream].from < streams_[stream].cold_to; }

  /// A stream piles up when more of it waits in memory than this: its part of `most`, where all together have more
  /// than that. Those that lag do not count: memory does not help them any more.
  [[nodiscard]] std::uint64_t pile(std::uint64_t most) const {
    if (total_ <= most) return UINT64_MAX;
    std::uint64_t bytes = 0;
    std::uint64_t count = 0;
    for (std::uint32_t stream = 0; stream < streams(); ++stream) {
      if (lags(stream) || of(stream) == 0) continue;
      bytes += of(stream);
      ++count;
    }
    return bytes > most ? most / count : UINT64_MAX;
  }
  [[nodiscard]] bool piles_up(std::uint32_t stream, std::uint64_t pile) const {
    return of(stream) > pile && !lags(stream);
  }

 private:
  struct OfStream {
    std::uint64_t bytes = 0;
    std::uint64_t from = 0;
    std::uint64_t cold_to = 0;  ///< one past the last frame that was dropped unread
  };

  void hold(std::uint32_t stream, std::uint64_t bytes) {
    streams_[stream].bytes += bytes;
    total_ += bytes;
  }

  std::vector<OfStream> streams_;
  std::uint64_t total_ = 0;
};

}  // namespace weir::core
