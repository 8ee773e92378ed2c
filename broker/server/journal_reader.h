// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "broker/core/outside.h"
#include "broker/journal/journal.h"
#include "sdk/wire/changes.h"
#include "sdk/wire/messages.h"

namespace weir::server {

/// Reads back what the journal and the snapshots beside it hold: frames, the state of lanes, dead letters.
/// Thread: one at a time. Lifetime: journal and disk must outlive it.
class JournalReader {
 public:
  JournalReader(const journal::Journal& journal, journal::Disk& disk) : journal_(journal), disk_(disk) {}

  /// The bytes at `place`. Errors: kCorrupt, naming segment and position; kIo.
  Result<Bytes> read(const core::Place& place);

  /// Calls `visit` with the state of the job's lanes, one lane after the other, each part by part in the order of their
  /// age and ended by one `last` part, so that the first is at work while the next is read; dead letters are left out.
  /// Reads about a MiB, from where the job has come to, and says in it how far that was. Stops at an error.
  Status restore(core::RestoreJob& job, const std::function<Status(const wire::StatePart&)>& visit);

  /// Reads the job's items; what lies in a segment that has been recycled is needed by nobody any more, and stays
  /// empty.
  Status copy(core::CopyJob& job);

  /// Merges a snapshot file out of the one before and the changes behind it; fills in result.bytes.
  Status compact(core::CompactJob& job);

  /// Dead letters and parked records of the lanes of `parts`, newest value of each, in order.
  struct Letter {
    std::uint32_t stage = 0;
    std::uint32_t lane = 0;
    BytesView parked;  ///< of a parked record: its ParkedName; this and what follows is valid during the call
    BytesView key;     ///< of the change that put it
    BytesView bytes;   ///< wire::encode(letter)
    wire::DeadLetter letter;
  };
  Status dead_letters(const std::vector<core::RestoreJob::Part>& parts,
                      const std::function<void(const Letter&)>& visit);

 private:
  /// Has the tails of the job's next lanes at hand, as many as fit into memory. False: there is more to gather.
  Result<bool> gather(core::RestoreJob& job);
  /// The whole payload of the entry at `place`; the last one read is kept, since its parts are asked for one by one.
  Result<BytesView> entry(const core::Place& place);

  const journal::Journal& journal_;
  journal::Disk& disk_;
  journal::Position last_position_{};
  Bytes last_payload_;
};

}  // namespace weir::server
