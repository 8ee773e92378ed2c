// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/journal/examination.h"
#include "broker/server/resting_dir.h"

namespace weir::server {

/// A snapshot file of the directory.
struct SnapshotFacts {
  std::uint64_t file = 0;
  std::uint64_t bytes = 0;
  bool needed = false;         ///< by what a start recovers
  bool needed_before = false;  ///< by one of the two checkpoints in force
  bool whole = false;          ///< one that nobody needs may be unfinished
};

/// All that `weir journal check` says.
struct Verdict {
  journal::Examination journal;
  std::vector<SnapshotFacts> snapshots;
  std::size_t needs = 0;               ///< parts of entries that the broker will read back
  std::optional<Error> unsalvageable;  ///< where there is damage: why `weir journal salvage` would refuse
  [[nodiscard]] bool start_works() const;
  [[nodiscard]] const std::vector<journal::Damage>& damage() const { return journal.damage; }
};

/// Reads everything that a start, and the broker behind it, would read, and what both do without. Errors: kIo.
Result<Verdict> check_journal(RestingDir& directory);
/// The same of a journal that is no directory's yet.
Result<Verdict> check_journal(journal::Disk& disk, const Result<Topology>& topology);

/// For a person, or as one JSON object.
std::string to_text(const Verdict& verdict, RestingDir& directory);
std::string to_json(const Verdict& verdict, RestingDir& directory);

}  // namespace weir::server
