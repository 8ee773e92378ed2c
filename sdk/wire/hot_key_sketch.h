// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "sdk/base/bytes.h"
#include "sdk/wire/messages.h"

namespace weir::wire {

/// Finds the keys of a stream that have more records than their share, in memory that does not depend on how many keys
/// there are: the space-saving algorithm (Metwally, Agrawal, El Abbadi, "Efficient Computation of Frequent and Top-k
/// Elements in Data Streams", 2005) over one record in eight, with counts that are halved now and then, so that it
/// follows what changes. What it says decides where records go, and so how fast, never what comes out.
///
/// A key is hot from the moment on that at least one record in twice the number of shards was surely its, and until it
/// has half of that. Thread: one at a time.
class HotKeySketch {
 public:
  explicit HotKeySketch(std::uint32_t shards);

  /// One more record of `key` (canonical), whose hash is `hash`. True: the key is hot.
  bool add(std::uint64_t hash, BytesView key) {
    if (sampled()) count(hash, key);
    return is_hot(hash);
  }

  /// The hot keys, most frequent first; `stream` is left open.
  [[nodiscard]] HotKeysSeen seen() const;

 private:
  struct Counter {
    std::uint64_t hash = 0;
    std::uint32_t count = 0;
    std::uint32_t error = 0;  ///< it may have been counted so often for others
    bool hot = false;
    Bytes key;  ///< once it is hot
  };

  bool sampled() {
    if (records_ < kWarmUp) return true;
    // xorshift: no pattern in the order of keys is the pattern of what is looked at.
    random_ ^= random_ << 13;
    random_ ^= random_ >> 17;
    random_ ^= random_ << 5;
    return random_ % kOneIn == 0;
  }
  [[nodiscard]] bool is_hot(std::uint64_t hash) const {
    for (std::size_t slot = hash & hot_mask_;; slot = (slot + 1) & hot_mask_) {
      if (hot_[slot] == hash) return hash != 0;
      if (hot_[slot] == 0) return false;
    }
  }
  void count(std::uint64_t hash, BytesView key);
  /// The counter at `index` has one more.
  void raise(std::size_t index, BytesView key);
  void swap(std::size_t a, std::size_t b);
  void enter(std::uint64_t hash);
  void age();

  static constexpr std::uint32_t kOneIn = 8;
  static constexpr std::uint32_t kWarmUp = 1024;    ///< until then every record is counted
  static constexpr std::uint32_t kAgeAt = 16384;    ///< records counted, at which counts are halved
  static constexpr std::uint32_t kHotMin = 16;      ///< records counted that a key has before it is called hot
  static constexpr std::size_t kKeyBytesMax = 256;  ///< that are kept for people

  std::uint32_t shares_;  ///< a key that has one of so many is hot
  std::size_t counters_max_;
  std::vector<Counter> counters_;                            ///< most first
  std::unordered_map<std::uint64_t, std::uint32_t> places_;  ///< by hash, in counters_
  std::vector<std::uint64_t> hot_;                           ///< open addressing; 0: free
  std::size_t hot_mask_;
  std::uint32_t records_ = 0;  ///< counted
  std::uint32_t random_ = 0x9e3779b9;
};

}  // namespace weir::wire
