// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "sdk/base/bytes.h"
#include "sdk/base/result.h"
#include "sdk/wire/changes.h"

namespace weir::host {

/// Keys of one stage that are parked, with their records: a record that failed and all later ones of its key, in turn.
/// They are state of the lane, so every change of them is put into the transaction. Keys are compared in canonical
/// form. Thread: the runner's.
class ParkedKeys {
 public:
  struct Record {
    std::uint32_t bytes = 0;  ///< that it takes of parked_bytes_max
    Bytes place;              ///< key of its change
    Bytes letter;             ///< wire::encode(DeadLetter)
  };
  using Records = std::map<std::uint64_t, Record>;  ///< by turn; never empty

  /// Some key of `lane` is parked.
  [[nodiscard]] bool any(std::uint32_t lane) const { return !lanes_.empty() && lanes_.contains(lane); }
  /// The records of `key`; null where it is not parked.
  [[nodiscard]] const Records* find(std::uint32_t lane, BytesView key) const;

  /// Parks a record of the letter's key behind those that are there; it stays under `place`.
  void park(std::uint32_t lane, Bytes place, const wire::DeadLetter& letter, Bytes& changes);
  /// The record at `turn` has failed again. REQUIRES: it is parked.
  void replace(std::uint32_t lane, std::uint64_t turn, const wire::DeadLetter& letter, Bytes& changes);
  /// The record at `turn`, if it is there, goes, and with the last one the key.
  void erase(std::uint32_t lane, BytesView key, std::uint64_t turn, Bytes& changes);

  /// Restores a record; no change of ours. Errors: kInvalid where it is malformed.
  Status load(std::uint32_t lane, const wire::Change& change);
  void drop(std::uint32_t lane);
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const;
  };
  /// Every record of a stage that parks keys asks, and next to none is parked: so many bits, one of which every key
  /// that is or was parked has set, answer nearly all of them.
  static constexpr std::size_t kSeen = 1 << 16;
  struct Lane {
    std::unordered_map<std::string, Records, Hash, std::equal_to<>> keys;
    std::unique_ptr<std::bitset<kSeen>> seen = std::make_unique<std::bitset<kSeen>>();
    std::uint64_t next = 1;  ///< turn
  };
  void add(std::uint32_t lane, BytesView key, std::uint64_t turn, Record record);

  std::map<std::uint32_t, Lane> lanes_;
  std::uint64_t bytes_ = 0;
};

}  // namespace weir::host
