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
#include "stages/host/local_lanes.h"

namespace weir::host {

/// State that the host keeps for a stage without typed values: bytes under (lane, name, key), with the changes of the
/// open transaction and an undo log for the record at hand. In front of local lanes it is a cache, and holds what
/// changed in the open transaction in any case. Thread: the runner's.
class StateStore {
 public:
  /// Restores an entry; no change of ours.
  void load(std::uint32_t lane, const wire::Change& change);
  void drop(std::uint32_t lane);

  /// What it does not hold is found there, as the state of `stage`.
  void ask(LocalLanes& local, std::uint32_t stage) {
    local_ = &local;
    stage_ = stage;
  }
  /// Forgets what did not change in the open transaction. REQUIRES: ask().
  void forget_clean();

  /// Valid until the next call. Errors: those of the local store.
  Result<std::optional<BytesView>> get(std::uint32_t lane, BytesView name, BytesView key);
  /// Errors: as get().
  Status put(std::uint32_t lane, BytesView name, BytesView key, std::optional<BytesView> value);

  /// What was changed since the last mark() is as it was.
  void undo();
  void mark() { log_.clear(); }
  /// Appends the changes of the transaction in `lane` to `out`, the last of each key, and forgets them.
  void take_changes(std::uint32_t lane, Bytes& out);
  /// What the keys and values that it holds take.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  struct Entry {
    std::string name;
    std::string key;
    std::optional<Bytes> value;
    bool dirty = false;
  };
  struct Lane {
    std::unordered_map<std::string, Entry> entries;  ///< by slot
    std::uint64_t bytes = 0;                         ///< its part of bytes_
  };
  struct Undo {
    std::uint32_t lane = 0;
    std::string slot;
    std::optional<Bytes> value;
    bool dirty = false;
  };
  /// The entry, also one that is not there; null where it is not held. Errors: as get().
  Result<Entry*> held(std::uint32_t lane, const std::string& at, BytesView name, BytesView key);
  static std::string slot(BytesView name, BytesView key);
  /// The entry at the slot, made where there is none.
  Entry& entry_at(Lane& lane, const std::string& at, BytesView name, BytesView key);
  void set(Lane& lane, Entry& entry, std::optional<Bytes> value);
  void count(Lane& lane, std::uint64_t more, std::uint64_t less);
  static std::uint64_t size_of(const std::optional<Bytes>& value) { return value ? value->size() : 0; }
  std::map<std::uint32_t, Lane> lanes_;
  std::map<std::uint32_t, std::vector<std::string>>
      dirty_;  ///< slots changed in the open transaction; some undone since
  std::vector<Undo> log_;
  std::uint64_t bytes_ = 0;
  LocalLanes* local_ = nullptr;
  std::uint32_t stage_ = 0;
};

}  // namespace weir::host
