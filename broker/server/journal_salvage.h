// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "broker/server/resting_dir.h"
#include "sdk/base/ids.h"

namespace weir::server {

/// What a salvage has kept and lost.
struct SalvageReport {
  Sequence end;               ///< the new directory holds the history before this entry
  Sequence end_known;         ///< that of the damaged directory reached up to here, as far as it says
  std::uint64_t carried = 0;  ///< older entries that the broker still needs
  std::uint64_t carried_bytes = 0;
  std::vector<std::string> lost;  ///< a sentence each
};

/// Makes a data directory out of what can be read of a damaged one, which is not touched.
///
/// The history is cut at its first entry that cannot be read behind the newest checkpoint that is whole and whose older
/// needs (records that wait, state, snapshots) are whole too. Since an effect stands behind its cause, what is before a
/// cut is consistent whatever is behind it: the new directory is one that ran so far and was killed.
///
/// `to` must not exist, or be an empty directory. weir.json comes last, so that what a failure leaves is no data
/// directory. Errors: kCorrupt (no such prefix is left; says what is missing), kInvalid (`to`), kIo, kDiskFull.
Result<SalvageReport> salvage_journal(RestingDir& directory, const std::string& to);

/// Whether salvage_journal() would find something to make a new directory out of, at the cost of reading all that it
/// would. Errors: as it would say.
Status can_salvage(RestingDir& directory);

std::string to_text(const SalvageReport& report, const std::string& from, const std::string& to);
std::string to_json(const SalvageReport& report, const std::string& from, const std::string& to);

}  // namespace weir::server
