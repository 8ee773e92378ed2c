// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "broker/core/entry.h"
#include "broker/core/stream_state.h"
#include "sdk/base/result.h"
#include "sdk/wire/frame.h"

namespace weir::core {

/// Where a person wants a replay to begin.
struct ReplayWanted {
  enum class Kind : std::uint8_t { kStart, kOffset, kTime };
  Kind kind = Kind::kStart;  ///< kStart: the oldest record that is kept
  std::uint64_t offset = 0;  ///< kOffset: in every shard; a shard that is shorter is not replayed
  std::int64_t time_us = 0;  ///< kTime: wall clock; with the batch that was first read at or after it
};

/// Finds the place in each shard of a stream, from the directories of its frames, oldest first.
class ReplaySearch {
 public:
  ReplaySearch(ReplayWanted wanted, std::uint32_t shards) : wanted_(wanted), shards_(shards) {}

  /// The next frame that is kept. Batches must lie in known shards.
  void see(std::uint64_t frame, const std::vector<wire::BatchHeader>& batches);
  /// All shards are found: what comes later changes nothing.
  [[nodiscard]] bool done() const { return found_ == shards_.size(); }
  /// The places, when all frames of `stream` were seen or done(). Errors: kNotFound where the offset is kept no more,
  /// with the shard and its oldest one.
  [[nodiscard]] Result<std::vector<Replay::From>> places(const StreamState& stream) const;

 private:
  struct Shard {
    std::optional<std::uint64_t> oldest;
    std::optional<Replay::From> found;
  };
  ReplayWanted wanted_;
  std::vector<Shard> shards_;
  std::size_t found_ = 0;
};

}  // namespace weir::core
