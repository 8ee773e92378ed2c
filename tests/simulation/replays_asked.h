// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace weir::simulation {

/// Replays that a person has asked for, and what came of them: all that the oracle knows of them.
class ReplaysAsked {
 public:
  struct Replay {
    std::string stream;
    bool reset = false;
    std::vector<std::uint64_t> from;     ///< by shard
    std::vector<std::uint64_t> settled;  ///< what was surely behind its stage by then; by shard
    bool done = false;                   ///< the person was told so: else it may be or may not be
    std::uint64_t records = 0;           ///< that the person was told of
  };

  void add(const std::string& client, Replay replay) {
    waiting_[client] = replays_.size();
    replays_.push_back(std::move(replay));
  }
  /// Nothing came of it.
  void refused(const std::string& client);
  /// Answers what is wrong with it; empty: nothing.
  [[nodiscard]] std::string done(const std::string& client, std::uint64_t records);
  /// The broker has died: nobody is answered any more. So many waited.
  std::uint64_t forget_waiting();

  /// How often a record must have come again, and how often it may have.
  [[nodiscard]] std::uint64_t times_min(const std::string& stream, std::uint32_t shard, std::uint64_t offset) const;
  [[nodiscard]] std::uint64_t times_max(const std::string& stream, std::uint32_t shard, std::uint64_t offset) const;
  /// One begins in [from, to).
  [[nodiscard]] bool begins(const std::string& stream, std::uint32_t shard, std::uint64_t from, std::uint64_t to) const;
  /// State was to be forgotten before the record comes again, for sure.
  [[nodiscard]] bool resets(const std::string& stream, std::uint32_t shard, std::uint64_t offset) const;
  [[nodiscard]] bool any_reset() const;
  /// All were answered; then this is how many records they brought again.
  [[nodiscard]] bool all_done() const;
  [[nodiscard]] std::uint64_t records() const;
  [[nodiscard]] std::size_t count() const { return replays_.size(); }

 private:
  [[nodiscard]] static bool covers(const Replay& replay, const std::string& stream, std::uint32_t shard,
                                   std::uint64_t offset) {
    return replay.done && replay.stream == stream && replay.from[shard] <= offset && offset < replay.settled[shard];
  }
  std::vector<Replay> replays_;
  std::map<std::string, std::size_t> waiting_;  ///< by client
};

}  // namespace weir::simulation
