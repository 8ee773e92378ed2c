// SPDX-License-Identifier: Apache-2.0
#include "broker/server/journal_writer.h"

#include <pthread.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "sdk/base/check.h"

namespace weir::server {

namespace {

/// Until then only what the last sync covered has no mark behind it, as always.
constexpr std::chrono::milliseconds kMarkAfter{10};
/// Of less the sync takes so short that handing it to another thread, and waking up for its end, would be felt.
constexpr std::uint64_t kBytesApart = 512 << 10;
/// So much is written beside a sync; less would make many small groups of what could be one.
constexpr std::uint64_t kBytesBeside = 256 << 10;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

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
    const bool few = queue_bytes_ < kBytesBeside;
    for (const core::NewEntry& entry : entries) queue_bytes_ += entry.payload.bytes.size();
    std::move(entries.begin(), entries.end(), std::back_inserter(queue_));
    if (!idle && !(few && queue_bytes_ >= kBytesBeside)) return;
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
    bool ended = false;
    {
      std::unique_lock lock(mutex_);
      await(lock);
      ended = synced_now_.has_value();
      if (!ended) {
        if (queue_.empty() && stopping_ && !under_way_) break;
        group.swap(queue_);
        queue_bytes_ = 0;
        wanted = std::exchange(sync_wanted_, false);
      }
    }
    if (ended) {
      if (!await_sync()) return;
      continue;
    }
    if (group.empty() && !wanted && mark_due_ && !unsynced_) {
      mark_due_ = false;
      if (const Status marked = journal_.mark_if_needed(); !marked.ok()) return tell_of(marked.error());
      continue;
    }
    if (!group.empty() && !write(group)) return;
    group.clear();
    needs_sync_ |= wanted && unsynced_;
    const bool due = unsynced_ && std::chrono::steady_clock::now() - synced_ >= interval_;
    if ((needs_sync_ || due) && !under_way_ && !sync()) return;
    // What comes next carries the mark: one of its own is written only where nothing comes.
    mark_due_ = !unsynced_ && !under_way_;
  }
  end();
}

void JournalWriter::end() {
  if (!await_sync()) return;
  // Not as unsynced_ says: where the disk is full the journal has synced what it has, looking for room.
  if (journal_.durable() != journal_.written() && (!sync() || !await_sync())) return;
  // So that the next start reads no torn write behind the end of a life that ended well.
  (void)journal_.mark_if_needed();
}

void JournalWriter::await(std::unique_lock<std::mutex>& lock) {
  const auto ready = [this] { return stopping_ || sync_wanted_ || !queue_.empty(); };
  if (under_way_) {
    queued_.wait(lock, [this] { return synced_now_ || queue_bytes_ >= kBytesBeside; });
  } else if (needs_sync_) {
    return;  // what was written beside the last one waits for its own
  } else if (unsynced_) {
    queued_.wait_until(lock, synced_ + interval_, ready);
  } else if (mark_due_) {
    (void)queued_.wait_until(lock, synced_ + kMarkAfter, ready);
  } else {
    queued_.wait(lock, ready);
  }
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
  if (under_way_ && !journal_.fits_beside_sync(views) && !await_sync()) return false;
  bool read_again = false;
  for (const core::NewEntry& entry : group) {
    needs_sync_ |= entry.durability == Durability::kFsync;
    read_again |= entry.read_again;
  }
  const auto follows = needs_sync_ && !read_again ? journal::Follows::kSync : journal::Follows::kAnything;
  std::vector<journal::Position> positions;
  bool was_full = false;
  while (true) {
    positions.clear();
    const auto start = std::chrono::steady_clock::now();
    const Status status = journal_.append(views, positions, follows);
    // Past the page cache it is the disk's time, of which a sync has the rest.
    if (follows == journal::Follows::kSync) seconds_written_ += seconds_since(start);
    if (status.ok()) break;
    if (status.error().code != Code::kDiskFull) {
      tell_of(status.error());
      return false;
    }
    // What fits goes first, and is synced: a checkpoint's entry among it frees room for the rest.
    if (const std::size_t fit = journal_.fit_this_segment(views); fit != 0 && fit < group.size()) {
      put_back(group, fit);
      views.resize(fit);
      needs_sync_ = true;
      continue;
    }
    if (!was_full) mailbox_.post([this] { listener_.on_journal_full(true); });
    if (std::exchange(was_full, true)) journal_.permit_last_segment();
    {
      std::unique_lock lock(mutex_);
      if (!queued_.wait_for(lock, std::chrono::milliseconds(100), [this] { return stopping_; })) continue;
    }
    end();
    return false;
  }
  if (was_full) mailbox_.post([this] { listener_.on_journal_full(false); });
  unsynced_ = true;
  for (std::size_t i = 0; i < group.size(); ++i) {
    bytes_unsynced_ += group[i].payload.bytes.size();
    untold_.push_back({group[i].sequence, positions[i]});
  }
  // Where a short sync comes next, its end is told with this: each word wakes the server.
  if (needs_sync_ && !under_way_ && bytes_unsynced_ < kBytesApart) return true;
  const Sequence end = group.back().sequence.plus(1);
  const bool settled = !needs_sync_ && !under_way_;
  mailbox_.post([this, written = std::exchange(untold_, {}), end, settled] {
    listener_.on_written(written);
    if (settled) listener_.on_settled(end);
  });
  return true;
}

void JournalWriter::put_back(std::vector<core::NewEntry>& group, std::size_t from) {
  const auto rest = group.begin() + static_cast<std::ptrdiff_t>(from);
  const std::lock_guard lock(mutex_);
  for (auto entry = rest; entry != group.end(); ++entry) queue_bytes_ += entry->payload.bytes.size();
  queue_.insert(queue_.begin(), std::move_iterator(rest), std::move_iterator(group.end()));
  group.erase(rest, group.end());
}

bool JournalWriter::sync() {
  const auto begun = journal_.begin_sync();
  if (!begun) {
    const Status failed = journal_.mark_if_needed();  // says again what has failed
    WEIR_CHECK(!failed.ok(), "what was written and is in no sync is not durable");
    tell_of(failed.error());
    return false;
  }
  const bool apart = bytes_unsynced_ >= kBytesApart;
  needs_sync_ = unsynced_ = false;
  bytes_unsynced_ = 0;
  const auto work = [sync = *begun, written = std::exchange(seconds_written_, 0)] {
    const auto start = std::chrono::steady_clock::now();
    Status outcome = sync.run();
    return Synced{std::move(outcome), written + seconds_since(start)};
  };
  if (!apart) return end_sync(*begun, work());
  under_way_ = begun;
  syncer_.post([this, work] {
    Synced synced = work();
    {
      const std::lock_guard lock(mutex_);
      synced_now_ = std::move(synced);
    }
    queued_.notify_one();
  });
  return true;
}

void JournalWriter::tell_of(const Error& error) {
  mailbox_.post([this, error] { listener_.on_journal_failed(error); });
}

bool JournalWriter::await_sync() {
  if (!under_way_) return true;
  std::optional<Synced> synced;
  {
    std::unique_lock lock(mutex_);
    queued_.wait(lock, [this] { return synced_now_.has_value(); });
    synced.swap(synced_now_);
  }
  const journal::SyncUnderWay ended = *std::exchange(under_way_, std::nullopt);
  return end_sync(ended, *synced);
}

bool JournalWriter::end_sync(const journal::SyncUnderWay& under_way, const Synced& synced) {
  const Status status = journal_.end_sync(under_way, synced.outcome);
  synced_ = std::chrono::steady_clock::now();
  if (!status.ok()) {
    tell_of(status.error());
    return false;
  }
  mailbox_.post([this, written = std::exchange(untold_, {}), durable = journal_.durable(),
                 settled = needs_sync_ ? journal_.durable() : journal_.written(), seconds = synced.seconds] {
    if (!written.empty()) listener_.on_written(written);
    listener_.on_synced(seconds, durable);
    listener_.on_settled(settled);
  });
  return true;
}

}  // namespace weir::server
