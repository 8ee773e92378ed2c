// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <set>
#include <string>

#include "broker/core/core.h"
#include "broker/server/journal_reader.h"
#include "broker/server/mailbox.h"
#include "broker/server/task_thread.h"
#include "sdk/wire/map.h"

namespace weir::server {

/// Takes what people ask about dead letters: to list, to drop, to requeue. What moves letters goes one request behind
/// the other, each only when the one before is in the journal: so none is found that was moved already.
/// Thread: main; letters are read by the reader thread. Lifetime: all that it is given must outlive it, and the reader
/// thread's tasks must have ended before it does.
class LetterDesk {
 public:
  LetterDesk(core::Core& core, JournalReader& reader, TaskThread& reader_thread, Mailbox& mailbox)
      : topology_(core.ledger().topology()),
        core_(core),
        reader_(reader),
        reader_thread_(reader_thread),
        mailbox_(mailbox) {}

  /// False where `request` is none for this desk. Answers go through `reply`.
  bool take(const core::Client& client, const wire::MapReader& request, core::Outside& outside);
  /// Begins the next request that waits, if it may.
  void do_work(core::Outside& outside);

 private:
  struct Asked {
    core::Client client;
    bool again = false;
    std::set<std::string> ids;
    std::string stage;  ///< all of this one; "" with no ids: of every stage
    int tries = 0;      ///< letters were moved while they were read so often
  };
  void list(const core::Client& client, core::Outside& outside, int tries = 0);
  Result<core::LetterRequest> find(const Asked& asked, const std::vector<core::RestoreJob::Part>& parts,
                                   std::uint64_t bytes_max);

  const Topology& topology_;
  core::Core& core_;
  JournalReader& reader_;
  TaskThread& reader_thread_;
  Mailbox& mailbox_;
  std::deque<Asked> asked_;
  std::size_t lists_ = 0;  ///< under way
  bool reading_ = false;
};

}  // namespace weir::server
