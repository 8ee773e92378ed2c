// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "topologies/bench/measurement.h"

namespace weir::bench {

/// What the processes of one `weir run` use, read from /proc while they live: of one that ended, what the last look()
/// saw. Several workers of a stage, and successors of one that died, count as one.
class ProcessWatch {
 public:
  explicit ProcessWatch(pid_t launcher) : launcher_(launcher) {}

  void look();
  /// How many that count have been seen, several of a stage as one.
  [[nodiscard]] std::size_t seen() const { return uses().size(); }
  /// "weir", "broker", then the stages by name.
  [[nodiscard]] std::vector<ProcessUse> uses() const;

 private:
  struct Seen {
    std::string role;  ///< empty: nobody that counts
    double cpu_seconds = 0;
    std::uint64_t peak_bytes = 0;
  };
  void look_at(pid_t pid, const std::string& role_known);

  pid_t launcher_;
  std::map<pid_t, Seen> seen_;
};

}  // namespace weir::bench
