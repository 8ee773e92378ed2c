// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace weir::simulation {

/// What a sum says of each key, brought back to the numbers that it has added up: every record tells count and sum so
/// far, so that the number is the difference to the one before.
class Output {
 public:
  struct Key {
    std::vector<std::uint64_t> numbers;  ///< in the order in which they were added
    std::uint64_t count = 0;
    std::uint64_t sum = 0;
    bool finished = false;
  };

  /// The next record of `key`. Answers what is wrong with it; empty: nothing.
  [[nodiscard]] std::string add(std::uint64_t key, std::uint64_t count, std::uint64_t sum);
  /// The last one of `key`, which says the same again.
  [[nodiscard]] std::string finish(std::uint64_t key, std::uint64_t count, std::uint64_t sum);

  [[nodiscard]] const std::map<std::uint64_t, Key>& keys() const { return keys_; }

 private:
  std::map<std::uint64_t, Key> keys_;
};

}  // namespace weir::simulation
