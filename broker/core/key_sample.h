// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "sdk/base/clock.h"
#include "sdk/topology/boundary.h"

namespace weir::core {

/// Keys of the records that came to a stream lately, so many of them at most: what its boundaries are learned from. At
/// first each record is taken, then so few that the sample is of some seconds, in steps that follow no pattern of the
/// keys. Reads no clock and draws no lots: the same records give the same sample. Thread: the core's.
class KeySample {
 public:
  static constexpr std::size_t kKeysMax = 4096;  ///< unless somebody wants fewer
  /// Of a longer text its beginning is kept, which is as good a boundary.
  static constexpr std::size_t kTextBytesMax = 64;
  static constexpr Monotonic kLookEvery{1'000'000};
  static constexpr std::uint64_t kSeconds = 4;  ///< that it is of, where more come than fit

  explicit KeySample(std::size_t keys_max = kKeysMax) : keys_max_(keys_max) {}

  /// A record has come. True: its key is wanted, by add().
  bool next() {
    ++records_;
    if (--left_ != 0) return false;
    step();
    return true;
  }
  void add(const Ordinal& key);
  /// Takes fewer or more of the records that come, by how many have come.
  void look(Monotonic now);

  [[nodiscard]] std::size_t size() const { return keys_.size(); }
  /// How many were ever added.
  [[nodiscard]] std::uint64_t added() const { return added_; }
  /// In rising order (order_of).
  [[nodiscard]] std::vector<Boundary> sorted() const;

 private:
  void step();

  std::size_t keys_max_;
  std::vector<Boundary> keys_;
  std::uint64_t added_ = 0;
  std::size_t next_ = 0;  ///< which one the next takes the place of
  std::uint64_t every_ = 1;
  std::uint64_t left_ = 1;  ///< records until the next that is taken
  std::uint64_t state_ = 0x9e3779b97f4a7c15;
  std::uint64_t records_ = 0;  ///< since the last look
  Monotonic looked_{0};
};

}  // namespace weir::core
