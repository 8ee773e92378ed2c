// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "sdk/base/bytes.h"
#include "sdk/wire/changes.h"

namespace weir::host {

/// State that the host keeps for a stage without typed values: bytes under (lane, name, key), with the changes of the
/// open transaction and an undo log for the record at hand. Thread: the runner's.
class StateStore {
 public:
  /// Restores an entry; no change of ours.
  void load(std::uint32_t lane, const wire::Change& change);
  void drop(std::uint32_t lane) { lanes_.erase(lane); }

  [[nodiscard]] const Bytes* get(std::uint32_t lane, BytesView name, BytesView key) const;
  void put(std::uint32_t lane, BytesView name, BytesView key, std::optional<BytesView> value);

  /// What was changed since the last mark() is as it was.
  void undo();
  void mark() { log_.clear(); }
  /// Appends the changes of the transaction in `lane` to `out`, the last of each key, and forgets them.
  void take_changes(std::uint32_t lane, Bytes& out);
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  struct Entry {
    std::string name;
    std::string key;
    std::optional<Bytes> value;
    bool dirty = false;
  };
  using Lane = std::unordered_map<std::string, Entry>;
  struct Undo {
    std::uint32_t lane = 0;
    std::string slot;
    std::optional<Bytes> value;
    bool dirty = false;
  };
  static std::string slot(BytesView name, BytesView key);
  std::map<std::uint32_t, Lane> lanes_;
  std::map<std::uint32_t, std::vector<std::string>>
      dirty_;  ///< slots changed in the open transaction; some undone since
  std::vector<Undo> log_;
  std::uint64_t bytes_ = 0;
};

}  // namespace weir::host
