// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "broker/server/resting_dir.h"

namespace weir::server {

struct DumpOptions {
  bool json = false;
  std::uint64_t from = 0;              ///< first sequence
  std::optional<std::uint64_t> count;  ///< at most so many lines; absent: all
};

/// Prints every entry that the history still holds, one a line, behind damage too; where entries cannot be read a line
/// says so. Errors: kIo, kCorrupt (no segment of the history can be found).
Status dump_journal(RestingDir& directory, const DumpOptions& options);

}  // namespace weir::server
