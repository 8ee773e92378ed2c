// SPDX-License-Identifier: Apache-2.0
#include "broker/server/known_journal.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace weir::server {

using journal::HeaderState;
using journal::SegmentFile;

Error journal_gone(const std::string& path, std::uint64_t seed) {
  return {Code::kRefused,
          fmt::format("{0} has lost its journal: its weir.json says that journal {1:016x} was served from there, and "
                      "{0}/journal has nothing left of it. Bring its files back, or start at zero with `weir run "
                      "--fresh`, which gives up all that was in it",
                      path, seed)};
}

Error journal_of_another(const std::string& path, std::uint64_t seed, std::uint64_t there) {
  return {Code::kRefused,
          fmt::format("{0}/journal is another directory's: its segments are of journal {2:016x}, and {0}/weir.json "
                      "says that journal {1:016x} was served from there. Bring the files of {1:016x} back; where the "
                      "segments are the right ones and weir.json is not, take its line \"journal\" out; `weir run "
                      "--fresh` starts at zero",
                      path, seed, there)};
}

Status is_journal(const journal::History& history, const std::string& path, std::uint64_t seed) {
  if (history.seed_known && history.seed != seed) return journal_of_another(path, seed, history.seed);
  if (history.reign.value() == 0) return journal_gone(path, seed);
  return {};
}

Status find_journal(journal::Disk& disk, const std::string& path, std::uint64_t seed) {
  std::uint64_t bytes_read = 0;
  auto files = journal::open_segment_files(disk, bytes_read);
  if (!files.ok()) return files.error().code == Code::kIo ? files.status() : Status();
  // Where a segment was rolled over to, a journal was served.
  const bool served = std::any_of(files->begin(), files->end(), [&](const SegmentFile& file) {
    return file.state == HeaderState::kValid && file.header.seed == seed && !file.header.opening;
  });
  if (served) return {};
  journal::History history;
  if (Status read = journal::read_history(disk, *files, history); !read.ok()) {
    return read.error().code == Code::kIo ? read : Status();
  }
  return is_journal(history, path, seed);
}

}  // namespace weir::server
