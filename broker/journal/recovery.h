// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/journal/disk.h"
#include "broker/journal/segment.h"
#include "broker/journal/tables.h"

namespace weir::journal {

/// One file of the journal's directory and what its header says.
struct SegmentFile {
  std::string name;
  std::unique_ptr<File> file;
  HeaderState state = HeaderState::kBlank;
  SegmentHeader header;  ///< meaningful when state is kValid
  FileVerdict verdict = FileVerdict::kSpare;
};

/// Where a history breaks off: the place that an error's sentence names.
struct Fault {
  std::optional<std::size_t> file;  ///< index; nothing where a file is missing
  std::uint64_t segment = 0;        ///< 0: not known
  std::uint64_t offset = 0;
};

/// What the files say happened. Nothing has been written to find it out.
struct History {
  std::uint64_t seed = 0;  ///< meaningful when some header was read
  bool seed_known = false;
  Reign reign;                              ///< the highest in force; 0: nothing was ever served here
  Reign reign_next;                         ///< for the next start: above every number seen
  std::optional<std::size_t> newest;        ///< index of the newest segment's file
  std::uint32_t content_end = kBlockBytes;  ///< byte behind its last entry
  Sequence end;                             ///< of the next entry
  Sequence mark;                            ///< the highest found
  std::vector<std::size_t> chain;           ///< files that the history needs, oldest first, the newest last
  std::optional<std::size_t> predecessor;   ///< of the newest: never taken by a start (trap F4)
  bool opening_unproven = false;            ///< of the newest reign only opening marks are found (trap F3)
  std::optional<CheckpointRef> checkpoint_newest;
  std::optional<CheckpointRef> checkpoint_before;
  std::optional<CheckpointRef> checkpoint_used;  ///< the newest that is readable
  Bytes checkpoint_bytes;
  std::uint64_t cut_bytes = 0;
  bool cut_short = false;     ///< corrupt, since more was durable than can be read; nobody can tell how much
  bool stale_behind = false;  ///< what follows the last entry is a whole group of the file's earlier use
  std::string report;         ///< what a person should know: cuts, damaged checkpoints
  std::uint64_t bytes_read = 0;
  std::optional<Fault> fault;  ///< where it is corrupt; the rest is then what was known when that was found
};

/// Opens all segment files of `disk`. Errors: kIo; kRefused for a format of a newer Weir.
Result<std::vector<SegmentFile>> open_segment_files(Disk& disk, std::uint64_t& bytes_read);

/// Steps 1 to 5 of recovery (FORMAT.md): decides what the history is, verifies what a replay will read, and sets each
/// file's verdict. Errors: kCorrupt, naming file, segment and position; kIo; kRefused.
Status read_history(Disk& disk, std::vector<SegmentFile>& files, History& out);

}  // namespace weir::journal
