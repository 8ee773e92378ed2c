// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "broker/journal/disk.h"
#include "broker/journal/recovery.h"
#include "sdk/base/result.h"

namespace weir::server {

/// What weir.json knows of a directory's journal ("journal", broker/server/data_dir.h) against what lies there:
/// recovery alone cannot tell a journal that is gone from one that never was.

/// kRefused: `path` has nothing left of the journal `seed`, and what to do.
Error journal_gone(const std::string& path, std::uint64_t seed);
/// kRefused: what lies in `path` is the journal `there`, and not `seed`.
Error journal_of_another(const std::string& path, std::uint64_t seed, std::uint64_t there);
/// Of a history that was read: whether it is that of the journal `seed`. Errors: the two above.
Status is_journal(const journal::History& history, const std::string& path, std::uint64_t seed);

/// The same before a start opens the journal, at the cost of its headers, and of the newest segment where it may be the
/// only one. What recovery will refuse by itself passes. Errors: the two above, kIo.
Status find_journal(journal::Disk& disk, const std::string& path, std::uint64_t seed);

}  // namespace weir::server
