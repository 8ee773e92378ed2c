// SPDX-License-Identifier: Apache-2.0
#include "broker/core/replay_search.h"

#include <fmt/format.h>

#include <algorithm>

namespace weir::core {

void ReplaySearch::see(std::uint64_t frame, const std::vector<wire::BatchHeader>& batches) {
  for (const wire::BatchHeader& batch : batches) {
    Shard& shard = shards_[batch.shard];
    if (!shard.oldest) shard.oldest = batch.offset;
    if (shard.found) continue;
    const bool here = wanted_.kind == ReplayWanted::Kind::kStart ||
                      (wanted_.kind == ReplayWanted::Kind::kOffset && wanted_.offset < batch.offset + batch.count) ||
                      (wanted_.kind == ReplayWanted::Kind::kTime && batch.origin_us >= wanted_.time_us);
    if (!here) continue;
    const std::uint64_t from = wanted_.kind == ReplayWanted::Kind::kOffset ? wanted_.offset : batch.offset;
    shard.found = Replay::From{std::max(from, batch.offset), frame};
    ++found_;
  }
}

Result<std::vector<Replay::From>> ReplaySearch::places(const StreamState& stream) const {
  std::vector<Replay::From> places;
  for (std::uint32_t index = 0; index < shards_.size(); ++index) {
    const Shard& shard = shards_[index];
    const std::uint64_t end = stream.next_offset(index);
    const std::uint64_t oldest = shard.oldest.value_or(end);
    if (wanted_.kind == ReplayWanted::Kind::kOffset && wanted_.offset < oldest) {
      return {Code::kNotFound,
              fmt::format("shard {} keeps no record before offset {}, and {} is asked for; a stream keeps what all its "
                          "groups have consumed only with \"retention\"",
                          index, oldest, wanted_.offset)};
    }
    places.push_back(shard.found.value_or(Replay::From{end, stream.end_frame()}));
  }
  return places;
}

}  // namespace weir::core
