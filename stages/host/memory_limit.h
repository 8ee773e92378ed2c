// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sdk/base/clock.h"
#include "sdk/base/result.h"

namespace weir::host {

/// Bounds what this process may take on top of what it holds, so that a record which hoards meets std::bad_alloc, which
/// becomes its error, and not the end of the machine's memory. What is held between transactions, the state above all,
/// is not bounded: the limit (RLIMIT_DATA: heap and private memory) moves with it. Thread: the runner's.
class MemoryLimit {
 public:
  /// `growth_bytes_max`: beside what the state asks for.
  explicit MemoryLimit(std::uint64_t growth_bytes_max);
  ~MemoryLimit();
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;

  /// Between transactions: sets the limit by what is held now, with room for the containers of a state of
  /// `state_bytes` to grow as a whole. Cheap: does nothing most of the time.
  void renew(Monotonic now, std::uint64_t state_bytes);
  /// State is being loaded: no limit until the next renew().
  void lift();
  [[nodiscard]] bool lifted() const { return lifted_; }

  /// How much a worker with this much `memory` may grow by (stages/host/README.md).
  static std::uint64_t growth_for(std::uint64_t memory_bytes, std::uint64_t transaction_bytes_max);

 private:
  const std::uint64_t growth_bytes_max_;
  int statm_ = -1;
  bool lifted_ = true;
  Monotonic renewed_{0};
};

}  // namespace weir::host
