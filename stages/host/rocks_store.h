// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "sdk/topology/topology.h"
#include "stages/host/local_store.h"

namespace weir::host {

/// Where the stores of a stage's topology lie: `path` of the stage, else where the broker says, else, on another host
/// than the broker's, below the working directory.
std::string state_dir(const StageSpec& spec, const std::string& brokers, const std::string& topology);

/// Local stores in RocksDB, one for each lane, in the folders of one stage:
///
///     DIR/STAGE/LANE-N/    a RocksDB; N counts, since a folder may still be held by a process that should be dead
///
/// Its keys are those of LocalLanes behind "s"; "p" is the position, with the format and the journal that it is of.
/// RocksDB's own log is written and not synced: what a crash of the machine takes from its end takes the position too.
/// All share one cache and one bound for what is not yet in files. Thread: the runner's; RocksDB has its own.
class RocksStores {
 public:
  struct Options {
    std::string directory;           ///< that of the stage; made where it is missing
    std::string journal;             ///< state of another journal is void
    std::uint64_t memory_bytes = 0;  ///< of all stores together
    std::uint32_t lanes = 1;         ///< that may be open at once, about
  };
  explicit RocksStores(Options options);
  ~RocksStores();
  RocksStores(const RocksStores&) = delete;
  RocksStores& operator=(const RocksStores&) = delete;

  /// Opens the newest folder of the lane that nobody holds, and deletes the others that nobody holds. One that is
  /// damaged is deleted too: the broker has its state. Errors: kIo. The store must not outlive this.
  Result<std::unique_ptr<LocalStore>> open(std::uint32_t lane);

 private:
  struct Shared;
  Result<std::unique_ptr<LocalStore>> open_folder(const std::string& path);

  Options options_;
  std::unique_ptr<Shared> shared_;
};

}  // namespace weir::host
