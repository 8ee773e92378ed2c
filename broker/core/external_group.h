// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace weir::core {

/// A named group outside the topology as consumer of one stream. Durable: every part of it is decided by entries.
/// Thread: the core's.
struct ExternalGroup {
  struct Cursor {
    std::uint64_t offset = 0;  ///< everything before it is acknowledged
    std::uint64_t frame = 0;   ///< as Cursor::frame of a unit
  };
  std::vector<Cursor> cursors;        ///< by shard
  std::uint64_t records_backlog = 0;  ///< derived: not yet acknowledged
};

/// The groups of one stream, by name. Where nobody has come yet, neither a group nor a stage, what the stream holds is
/// kept for the first one, under the name kUnclaimed.
using ExternalGroups = std::map<std::string, ExternalGroup>;
inline constexpr const char* kUnclaimed = "";

}  // namespace weir::core
