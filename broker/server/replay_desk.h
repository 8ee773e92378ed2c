// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "broker/core/core.h"
#include "broker/core/replay_search.h"
#include "broker/server/journal_reader.h"
#include "broker/server/mailbox.h"
#include "broker/server/task_thread.h"
#include "sdk/base/clock.h"
#include "sdk/wire/map.h"

namespace weir::server {

/// Takes what people ask about replays, one at a time: finds out where each shard begins, some frames after the other
/// so that deliveries go on meanwhile, and tells the core. Thread: main; frames are read by the reader thread.
/// Lifetime: as of LetterDesk.
class ReplayDesk {
 public:
  ReplayDesk(core::Core& core, JournalReader& reader, TaskThread& reader_thread, Mailbox& mailbox)
      : core_(core), reader_(reader), reader_thread_(reader_thread), mailbox_(mailbox) {}

  /// False where `request` is none for this desk. Answers go through `reply`.
  bool take(const core::Client& client, const wire::MapReader& request, core::Outside& outside);
  /// Goes on where it had to wait.
  void do_work(core::Outside& outside);

 private:
  struct Asked {
    core::Client client;
    core::ReplayRequest request;
    core::ReplayWanted wanted;
    core::ReplaySearch search;
    std::uint64_t frame = 0;  ///< the next one to look at
    int searches = 1;
    Monotonic since{0};
    bool waits = false;  ///< for what is not in memory any more to be written
  };
  /// A frame on its way through the reader thread: where it lay, and what was found there.
  struct Look {
    std::uint64_t frame = 0;
    core::Place place;
    Result<std::vector<wire::BatchHeader>> batches = std::vector<wire::BatchHeader>();
  };
  Result<Asked> understand(const core::Client& client, const wire::MapReader& request) const;
  void look_on(core::Outside& outside);
  void looked(std::vector<Look> looks, core::Outside& outside);

  core::Core& core_;
  JournalReader& reader_;
  TaskThread& reader_thread_;
  Mailbox& mailbox_;
  std::optional<Asked> asked_;
};

}  // namespace weir::server
