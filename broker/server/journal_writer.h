// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "broker/core/outside.h"
#include "broker/journal/journal.h"
#include "broker/server/mailbox.h"
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
  /// A sync took so long, and everything before `durable` is on disk.
  virtual void on_synced(double seconds, Sequence durable) = 0;
  virtual void on_journal_full(bool full) = 0;
  /// The journal cannot be written any more.
  virtual void on_journal_failed(const Error& error) = 0;
};

/// Group commit: whatever is queued is written with one call and synced with one, while the next group gathers.
/// Threads: post() on the server's; the rest on "writer", which this object owns.
class JournalWriter {
 public:
  JournalWriter(journal::Journal& journal, std::chrono::microseconds interval, Mailbox& mailbox,
                WriterListener& listener);
  /// Writes and syncs what is queued, then ends the thread.
  ~JournalWriter();
  JournalWriter(const JournalWriter&) = delete;
  JournalWriter& operator=(const JournalWriter&) = delete;

  void post(std::vector<core::NewEntry> entries);
  /// Syncs what was posted, whatever it asked for.
  void sync_soon();

 private:
  void run();
  bool write(std::vector<core::NewEntry>& group);
  bool sync();

  journal::Journal& journal_;
  const std::chrono::microseconds interval_;
  Mailbox& mailbox_;
  WriterListener& listener_;
  std::mutex mutex_;
  std::condition_variable queued_;
  std::vector<core::NewEntry> queue_;
  bool sync_wanted_ = false;
  bool stopping_ = false;
  // The thread's own.
  bool needs_sync_ = false;  ///< an entry that asked for a sync is written and not synced
  bool unsynced_ = false;    ///< anything is
  bool mark_due_ = false;    ///< unless something comes, what is synced gets a mark of its own
  std::chrono::steady_clock::time_point synced_;
  std::thread thread_;
};

}  // namespace weir::server
