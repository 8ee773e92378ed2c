// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "stages/host/local_store.h"

namespace weir::test {

/// Disks of workers, in memory: local stores as RocksStores keeps them, by a name for each. What a process wrote
/// outlives it; a machine that loses its power forgets the last batches, each whole. A store that a process still
/// holds, be it frozen, is not opened again: the next one gets another. Must outlive its stores.
class SimLocalDisk {
 public:
  /// `alive`: whether the process that opens it still runs; what a dead one writes goes nowhere. `lost`: so many of the
  /// last batches are forgotten where the one before has died, asked with how many there are.
  Result<std::unique_ptr<host::LocalStore>> open(const std::string& name, std::function<bool()> alive,
                                                 const std::function<std::size_t(std::size_t)>& lost);
  /// A bug: clear() leaves what is there.
  void keep_what_is_cleared() { keeps_cleared_ = true; }
  [[nodiscard]] std::uint64_t batches_lost() const { return batches_lost_; }

 private:
  class Store;
  struct Contents {
    std::map<std::string, Bytes, std::less<>> entries;
    host::LocalPosition position;
  };
  struct Batch {
    std::vector<std::pair<std::string, std::optional<Bytes>>> changes;
    host::LocalPosition position;
    bool clears = false;
  };
  struct Folder {
    Contents now;
    Contents synced;
    std::deque<Batch> unsynced;
    std::function<bool()> alive;  ///< of its holder; empty: nobody holds it
  };
  static void apply(const Batch& batch, Contents& to);

  std::map<std::string, std::vector<std::shared_ptr<Folder>>> folders_;  ///< the newest last
  bool keeps_cleared_ = false;
  std::uint64_t batches_lost_ = 0;
};

}  // namespace weir::test
