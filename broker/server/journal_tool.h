// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace weir::server {

/// What `weir journal check|dump|salvage` asks of weir-broker.
struct JournalToolOptions {
  std::string what;
  std::string data_dir;
  bool json = false;
  std::uint64_t from = 0;
  std::optional<std::uint64_t> count;
  std::string to;
};

/// Prints to standard output, errors to standard error. 0: done, and of a check nothing is damaged; 1: could not, or
/// damage; 2: bad arguments.
int run_journal_tool(const JournalToolOptions& options);

}  // namespace weir::server
