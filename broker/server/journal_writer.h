// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "broker/core/outside.h"
#include "broker/journal/journal.h"
#include "broker/server/mailbox.h"
#include "broker/server/task_thread.h"
#include "sdk/topology/topology.h"

namespace weir::server {

/// What the writer tells the server, on the server's thread.
class WriterListener {
 public:
  virtual ~WriterListener() = default;
  struct Written {
    Sequence sequence;
    journal::Position position;
  };
  virtual void on_written(const std::vector<Written>& written) = 0;
  /// Everything before `sequence` is as durable as it asked to be.
  virtual void on_settled(Sequence sequence) = 0;
  /// A sync took so long, with what was written past the page cache for it, and everything before `durable` is on disk.
  virtual void on_synced(double seconds, Sequence durable) = 0;
  virtual void on_journal_full(bool full) = 0;
  /// The journal cannot be written any more.
  virtual void on_journal_failed(const Error& error) = 0;
};

/// Group commit: whatever is queued is written with one call and synced with one, while the next group gathers. A large
/// group is synced on a thread of its own, and the next one is written beside it, so that the disk need not wait for
/// it. Threads: post() on the server's; the rest on "writer" and "syncer", which this object owns.
class JournalWriter {
 public:
  JournalWriter(journal::Journal& journal, std::chrono::microseconds interval, Mailbox& mailbox,
                WriterListener& listener);
  /// Writes what is queued, but for what a full disk has no room for, and syncs all that is written; then ends the
  /// threads.
  ~JournalWriter();
  JournalWriter(const JournalWriter&) = delete;
  JournalWriter& operator=(const JournalWriter&) = delete;

  void post(std::vector<core::NewEntry> entries);
  /// Syncs what was posted, whatever it asked for.
  void sync_soon();

 private:
  /// What a sync on "syncer" came to.
  struct Synced {
    Status outcome;
    double seconds = 0;
  };

  void run();
  /// Waits until there is something to do.
  void await(std::unique_lock<std::mutex>& lock);
  /// False: nothing more is to be written.
  bool write(std::vector<core::NewEntry>& group);
  /// The entries from there on wait again, before all others.
  void put_back(std::vector<core::NewEntry>& group, std::size_t from);
  /// What is written is synced, and marked.
  void end();
  bool sync();
  /// Where a sync is under way: waits for it, and tells.
  bool await_sync();
  /// Nothing more can be written.
  void tell_of(const Error& error);
  bool end_sync(const journal::SyncUnderWay& under_way, const Synced& synced);

  journal::Journal& journal_;
  const std::chrono::microseconds interval_;
  Mailbox& mailbox_;
  WriterListener& listener_;
  std::mutex mutex_;
  std::condition_variable queued_;
  std::vector<core::NewEntry> queue_;
  std::uint64_t queue_bytes_ = 0;
  bool sync_wanted_ = false;
  bool stopping_ = false;
  std::optional<Synced> synced_now_;  ///< the sync under way is over
  // The writer's own.
  bool needs_sync_ = false;  ///< an entry that asked for a sync is written and in none
  bool unsynced_ = false;    ///< anything is
  bool mark_due_ = false;    ///< unless something comes, what is synced gets a mark of its own
  std::uint64_t bytes_unsynced_ = 0;
  double seconds_written_ = 0;                   ///< of these, past the page cache
  std::vector<WriterListener::Written> untold_;  ///< told with the end of the sync that comes next
  std::optional<journal::SyncUnderWay> under_way_;
  std::chrono::steady_clock::time_point synced_;
  TaskThread syncer_{"syncer"};
  std::thread thread_;
};

}  // namespace weir::server
