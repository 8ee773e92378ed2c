// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "broker/core/ledger.h"
#include "broker/server/journal_reader.h"

namespace weir::server {

/// Part of an entry that a ledger refers to: the broker reads it back sooner or later.
struct Need {
  core::Place place;
  Sequence sequence;
  bool is_state = false;     ///< changes of a stage's state; else records of a stream
  std::uint32_t index = 0;   ///< of the stream, or of the stage
  std::uint64_t number = 0;  ///< of the frame in its stream, or of the lane in its stage
  std::uint64_t records = 0;
};

/// What a ledger needs from the journal, in the order of places. REQUIRES: ledger.release() was called.
std::vector<Need> needs_of(const core::Ledger& ledger);

/// The snapshot files that a ledger names, each with its stage.
std::map<std::uint64_t, std::uint32_t> snapshots_of(const core::Ledger& ledger);

/// "3 records of stream \"words\" that wait (entry 17)".
std::string describe(const Need& need, const Topology& topology);

/// Reads it back and looks whether it is what it should be. Errors: kCorrupt, kIo, kNotFound.
Status try_to_read(JournalReader& reader, const Need& need);

/// Reads a snapshot file from end to end. Errors: kCorrupt, kIo, kNotFound.
Status try_to_read_snapshot(journal::Disk& disk, std::uint64_t file);

}  // namespace weir::server
