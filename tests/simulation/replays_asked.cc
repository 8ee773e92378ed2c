// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/replays_asked.h"

#include <algorithm>

namespace weir::simulation {

void ReplaysAsked::refused(const std::string& client) {
  // The last one, since a refusal comes at once.
  waiting_.erase(client);
  replays_.pop_back();
}

std::string ReplaysAsked::done(const std::string& client, std::uint64_t records) {
  const auto waiting = waiting_.extract(client);
  if (waiting.empty()) return "a person is told of a replay twice";
  Replay& replay = replays_[waiting.mapped()];
  replay.done = true;
  replay.records = records;
  std::uint64_t least = 0;
  for (std::size_t shard = 0; shard < replay.from.size(); ++shard) {
    if (replay.settled[shard] > replay.from[shard]) least += replay.settled[shard] - replay.from[shard];
  }
  return records >= least ? "" : "a replay goes back less far than it was asked to";
}

std::uint64_t ReplaysAsked::forget_waiting() {
  const std::uint64_t count = waiting_.size();
  waiting_.clear();
  return count;
}

std::uint64_t ReplaysAsked::times_min(const std::string& stream, std::uint32_t shard, std::uint64_t offset) const {
  return static_cast<std::uint64_t>(std::count_if(
      replays_.begin(), replays_.end(), [&](const Replay& replay) { return covers(replay, stream, shard, offset); }));
}

std::uint64_t ReplaysAsked::times_max(const std::string& stream, std::uint32_t shard, std::uint64_t offset) const {
  return static_cast<std::uint64_t>(std::count_if(replays_.begin(), replays_.end(), [&](const Replay& replay) {
    return replay.stream == stream && replay.from[shard] <= offset;
  }));
}

bool ReplaysAsked::begins(const std::string& stream, std::uint32_t shard, std::uint64_t from, std::uint64_t to) const {
  return std::any_of(replays_.begin(), replays_.end(), [&](const Replay& replay) {
    return replay.stream == stream && from <= replay.from[shard] && replay.from[shard] < to;
  });
}

bool ReplaysAsked::resets(const std::string& stream, std::uint32_t shard, std::uint64_t offset) const {
  return std::any_of(replays_.begin(), replays_.end(),
                     [&](const Replay& replay) { return replay.reset && covers(replay, stream, shard, offset); });
}

bool ReplaysAsked::any_reset() const {
  return std::any_of(replays_.begin(), replays_.end(), [](const Replay& replay) { return replay.reset; });
}

bool ReplaysAsked::all_done() const {
  return std::all_of(replays_.begin(), replays_.end(), [](const Replay& replay) { return replay.done; });
}

std::uint64_t ReplaysAsked::records() const {
  std::uint64_t records = 0;
  for (const Replay& replay : replays_) records += replay.records;
  return records;
}

}  // namespace weir::simulation
