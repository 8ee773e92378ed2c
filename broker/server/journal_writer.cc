// SPDX-License-Identifier: Apache-2.0
#include "broker/server/journal_writer.h"

#include <pthread.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace weir::server {

namespace {

/// Until then only what the last sync covered has no mark behind it, as always.
constexpr std::chrono::milliseconds kMarkAfter{10};

}  // namespace

JournalWriter::JournalWriter(journal::Journal& journal, std::chrono::microseconds interval, Mailbox& mailbox,
                             WriterListener& listener)
    : journal_(journal),
      interval_(interval),
      mailbox_(mailbox),
      listener_(listener),
      synced_(std::chrono::steady_clock::now()) {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "writer");
    run();
  });
}

JournalWriter::~JournalWriter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  queued_.notify_one();
  thread_.join();
}

void JournalWriter::post(std::vector<core::NewEntry> entries) {
  {
    const std::lock_guard lock(mutex_);
    const bool idle = queue_.empty();
    std::move(entries.begin(), entries.end(), std::back_inserter(queue_));
    if (!idle) return;
  }
  queued_.notify_one();
}

void JournalWriter::sync_soon() {
  {
    const std::lock_guard lock(mutex_);
    sync_wanted_ = true;
  }
  queued_.notify_one();
}

void JournalWriter::run() {
  std::vector<core::NewEntry> group;
  while (true) {
    bool wanted = false;
    {
      std::unique_lock lock(mutex_);
      const auto ready = [this] { return stopping_ || sync_wanted_ || !queue_.empty(); };
      if (unsynced_) {
        queued_.wait_until(lock, synced_ + interval_, ready);
      } else if (mark_due_) {
        (void)queued_.wait_until(lock, synced_ + kMarkAfter, ready);
      } else {
        queued_.wait(lock, ready);
      }
      if (queue_.empty() && stopping_) break;
      group.swap(queue_);
      wanted = std::exchange(sync_wanted_, false);
    }
    if (group.empty() && !wanted && mark_due_ && !unsynced_) {
      mark_due_ = false;
      if (!journal_.mark_if_needed().ok()) return;
      continue;
    }
    if (!group.empty() && !write(group)) return;
    group.clear();
    needs_sync_ |= wanted && unsynced_;
    const bool due = unsynced_ && std::chrono::steady_clock::now() - synced_ >= interval_;
    if ((needs_sync_ || due) && !sync()) return;
    // What comes next carries the mark: one of its own is written only where nothing comes.
    mark_due_ = !unsynced_;
  }
  if (unsynced_ && !sync()) return;
  // So that the next start reads no torn write behind the end of a life that ended well.
  (void)journal_.mark_if_needed();
}

bool JournalWriter::write(std::vector<core::NewEntry>& group) {
  std::vector<BytesView> payloads;
  payloads.reserve(group.size());
  for (const core::NewEntry& entry : group) payloads.push_back(entry.payload.bytes);
  std::vector<journal::EntryView> views;
  views.reserve(group.size());
  for (std::size_t i = 0; i < group.size(); ++i) {
    views.push_back(
        {group[i].checkpoint ? journal::EntryKind::kCheckpoint : journal::EntryKind::kRecord, {&payloads[i], 1}});
  }
  std::vector<journal::Position> positions;
  bool was_full = false;
  while (true) {
    positions.clear();
    const Status status = journal_.append(views, positions);
    if (status.ok()) break;
    if (status.error().code != Code::kDiskFull) {
      mailbox_.post([this, error = status.error()] { listener_.on_journal_failed(error); });
      return false;
    }
    if (!was_full) mailbox_.post([this] { listener_.on_journal_full(true); });
    if (std::exchange(was_full, true)) journal_.permit_last_segment();
    std::unique_lock lock(mutex_);
    queued_.wait_for(lock, std::chrono::milliseconds(100), [this] { return stopping_; });
    if (stopping_) return false;
  }
  if (was_full) mailbox_.post([this] { listener_.on_journal_full(false); });
  unsynced_ = true;
  std::vector<WriterListener::Written> written;
  written.reserve(group.size());
  for (std::size_t i = 0; i < group.size(); ++i) {
    needs_sync_ |= group[i].durability == Durability::kFsync;
    written.push_back({group[i].sequence, positions[i]});
  }
  const Sequence end = group.back().sequence.plus(1);
  const bool settled = !needs_sync_;
  mailbox_.post([this, written = std::move(written), end, settled] {
    listener_.on_written(written);
    if (settled) listener_.on_settled(end);
  });
  return true;
}

bool JournalWriter::sync() {
  const auto start = std::chrono::steady_clock::now();
  const Status status = journal_.sync();
  synced_ = std::chrono::steady_clock::now();
  if (!status.ok()) {
    mailbox_.post([this, error = status.error()] { listener_.on_journal_failed(error); });
    return false;
  }
  needs_sync_ = unsynced_ = false;
  const double seconds = std::chrono::duration<double>(synced_ - start).count();
  mailbox_.post([this, end = journal_.durable(), seconds] {
    listener_.on_synced(seconds, end);
    listener_.on_settled(end);
  });
  return true;
}

}  // namespace weir::server
