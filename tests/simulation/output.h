// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/simulation/replays_asked.h"

namespace weir::simulation {

/// A record's place in the input of a stage.
struct Origin {
  std::string stream;
  std::uint32_t shard = 0;
  std::uint64_t offset = 0;
  friend auto operator<=>(const Origin&, const Origin&) = default;
};

/// What a sum says of each key, brought back to the numbers that it has added up: every record tells count and sum so
/// far, so that the number is the difference to the one before. Where the sum may be replayed, it also tells where the
/// number came from: then numbers may come again, as far as a replay says, and a count may begin anew.
class Output {
 public:
  explicit Output(const ReplaysAsked& replays) : replays_(replays) {}

  struct Key {
    std::vector<std::uint64_t> numbers;  ///< in the order in which they were added, each origin once
    std::uint64_t count = 0;
    std::uint64_t sum = 0;
    bool finished = false;
    bool reset = false;                                               ///< it was begun anew
    std::map<Origin, std::pair<std::uint64_t, std::uint64_t>> added;  ///< each with its number, and how often
    std::vector<Origin> steps;                                        ///< in order
  };

  /// The next record of `key`. Answers what is wrong with it; empty: nothing.
  [[nodiscard]] std::string add(std::uint64_t key, std::uint64_t count, std::uint64_t sum,
                                const std::optional<Origin>& origin);
  /// The last one of `key`, which says the same again.
  [[nodiscard]] std::string finish(std::uint64_t key, std::uint64_t count, std::uint64_t sum);
  /// When all is there. Answers as above.
  [[nodiscard]] std::string check() const;

  [[nodiscard]] const std::map<std::uint64_t, Key>& keys() const { return keys_; }

 private:
  [[nodiscard]] std::string check_steps(const Key& key) const;

  const ReplaysAsked& replays_;
  std::map<std::uint64_t, Key> keys_;
};

}  // namespace weir::simulation
