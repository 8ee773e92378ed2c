// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "sdk/base/bytes.h"

namespace weir::host {

/// The last record of each key that a worker has published to one stream, for readers that come later. Takes so many
/// bytes at most: then the key that was published longest ago is forgotten, and so is one whose record is larger than
/// all there is room for. Thread: the runner's.
class LastValues {
 public:
  explicit LastValues(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  /// Takes what was published: `count` records in the layout of weir/abi.h.
  void take(BytesView records, std::uint32_t count);
  /// What is kept, in the order in which it was published.
  [[nodiscard]] Bytes records() const;
  [[nodiscard]] std::uint32_t count() const { return static_cast<std::uint32_t>(newest_last_.size()); }
  /// Keys for which there was no room, since the beginning.
  [[nodiscard]] std::uint64_t forgotten() const { return forgotten_; }

 private:
  struct Kept {
    std::string key;
    Bytes record;
    [[nodiscard]] std::uint64_t bytes() const;
  };
  using Order = std::list<Kept>;
  void drop(Order::iterator kept);

  const std::uint64_t bytes_max_;
  Order newest_last_;
  std::unordered_map<std::string_view, Order::iterator> by_key_;  ///< the keys are those of `newest_last_`
  std::uint64_t bytes_ = 0;
  std::uint64_t forgotten_ = 0;
};

}  // namespace weir::host
