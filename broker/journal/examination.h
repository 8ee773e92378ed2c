// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "broker/journal/recovery.h"

namespace weir::journal {

/// What a piece of damage means for whoever runs on the directory.
enum class DamageMeans {
  kStartRefused,  ///< a start finds it and refuses
  kStopsLater,    ///< older than the checkpoint, and perhaps still needed: the broker stops when it reads it
  kHarmless,      ///< in what a start and the broker do without
};

struct Damage {
  DamageMeans means = DamageMeans::kStartRefused;
  std::string file;           ///< "" where a file is missing
  std::uint64_t segment = 0;  ///< 0: not of a segment, or not known
  std::uint64_t offset = 0;
  std::uint64_t offset_end = 0;  ///< where what can be read goes on; 0: not known
  std::string what;
};

/// One file of the journal and what is in it.
struct SegmentFacts {
  enum class Role {
    kOpen,        ///< the newest segment, which a start copies
    kClosed,      ///< older, and still needed
    kFree,        ///< superseded, or no longer needed
    kSpare,       ///< never used
    kUnreadable,  ///< its header cannot be read
  };
  Role role = Role::kFree;
  std::string file;
  std::uint64_t file_bytes = 0;
  SegmentHeader header;  ///< meaningful unless spare or unreadable
  // Of those that are open or closed:
  Sequence end;  ///< behind the last entry that can be read
  std::uint32_t content_end = 0;
  std::uint64_t entries = 0;
  std::uint64_t marks = 0;
  std::uint64_t opening_marks = 0;
  Sequence mark_max;
};

struct CheckpointFacts {
  CheckpointRef ref;
  bool in_force = false;  ///< named by the journal as the newest or the one before; else left over
  bool used = false;      ///< a start begins with it
  bool whole = false;
};

/// A journal at rest, read from end to end: what a start would do, and all damage, also where a start does not look.
struct Examination {
  std::vector<SegmentFacts> segments;  ///< by number, free files last
  std::vector<CheckpointFacts> checkpoints;
  std::vector<Damage> damage;
  History history;  ///< partial where the start is refused
  std::optional<Error> refusal;
};

/// Errors: kIo alone; what is damaged is part of the answer.
Result<Examination> examine(Disk& disk);

}  // namespace weir::journal
