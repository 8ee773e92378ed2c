// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/segment_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "broker/journal/growth.h"
#include "broker/journal/segment.h"

namespace weir::journal {
namespace {

constexpr std::uint64_t kPieceBytes = 2 << 20;     ///< where somebody waits: more at once takes as long
constexpr std::uint64_t kBesideBytes = 256 << 10;  ///< where nobody does
constexpr std::chrono::milliseconds kRestMax{100};

}  // namespace

class SegmentPool::Awaited {
 public:
  Awaited(SegmentPool& pool, bool is) : pool_(pool), is_(is) {
    if (!is_) return;
    const std::scoped_lock lock(pool_.haste_mutex_);
    ++pool_.awaited_;
    pool_.hurry_.notify_all();
  }
  ~Awaited() {
    if (!is_) return;
    const std::scoped_lock lock(pool_.haste_mutex_);
    --pool_.awaited_;
  }
  Awaited(const Awaited&) = delete;
  Awaited& operator=(const Awaited&) = delete;

 private:
  SegmentPool& pool_;
  const bool is_;
};

Disk::Pieces SegmentPool::pieces() {
  return [this, begun = std::optional<std::chrono::steady_clock::time_point>()]() mutable {
    std::unique_lock lock(haste_mutex_);
    const auto hurried = [this] { return awaited_ != 0 || stopped_; };
    if (begun && !hurried()) {
      const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - *begun;
      hurry_.wait_for(lock, std::min<std::chrono::nanoseconds>(took, kRestMax), hurried);
    }
    begun = std::chrono::steady_clock::now();
    return hurried() ? kPieceBytes : kBesideBytes;
  };
}

void SegmentPool::stop() {
  const std::scoped_lock lock(haste_mutex_);
  stopped_ = true;
  hurry_.notify_all();
}

bool SegmentPool::stopped() {
  const std::scoped_lock lock(haste_mutex_);
  return stopped_;
}

void SegmentPool::give(std::unique_ptr<File> file) {
  const std::scoped_lock lock(free_mutex_);
  const bool full = file->size() >= segment_bytes_;
  (full ? ready_ : short_).push_back(std::move(file));
}

std::size_t SegmentPool::ready() const {
  const std::scoped_lock lock(free_mutex_);
  return ready_.size();
}

std::unique_ptr<File> SegmentPool::take() {
  const std::scoped_lock lock(free_mutex_);
  WEIR_CHECK(ready_.size() >= 2, "rolling over leaves one free segment, since a start needs one");
  // The oldest first: what was freed last may still be what an unsynced page of an earlier reign refers to.
  std::unique_ptr<File> file = std::move(ready_.front());
  ready_.erase(ready_.begin());
  recycled_.fetch_add(1, std::memory_order_relaxed);
  return file;
}

Status SegmentPool::room_for(std::uint64_t bytes) {
  if (disk_.free_bytes() >= bytes) return {};
  return {Code::kDiskFull, fmt::format("{}: no room for a segment", disk_.name())};
}

Result<std::unique_ptr<File>> SegmentPool::make() {
  if (Status room = room_for(segment_bytes_); !room.ok()) return room.error();
  // Under its own name only when it is written full: a start takes any segment file for a whole one.
  constexpr std::string_view kPartial = "spare.partial";
  auto file = disk_.create_beside(kPartial, segment_bytes_, pieces());
  if (!file.ok()) return file.error();
  if (Status named = disk_.rename(kPartial, segment_file_name(file_number_next_)); !named.ok()) return named.error();
  if (Status synced = disk_.sync_directory(); !synced.ok()) return synced.error();
  ++file_number_next_;
  created_.fetch_add(1, std::memory_order_relaxed);
  return file;
}

Status SegmentPool::extend(File& file) {
  if (Status room = room_for(segment_bytes_ - file.size()); !room.ok()) return room;
  return grow(file, segment_bytes_);
}

Status SegmentPool::prepare(std::size_t target, Haste haste) {
  // Said before the other thread is done, since that one looks at it.
  const Awaited awaited(*this, haste == Haste::kAwaited);
  const std::scoped_lock work(work_mutex_);
  // Whoever waits has it, also at the end.
  while (haste == Haste::kAwaited || !stopped()) {
    std::unique_ptr<File> short_file;
    {
      const std::scoped_lock lock(free_mutex_);
      if (!short_.empty()) {
        short_file = std::move(short_.back());
        short_.pop_back();
      } else if (ready_.size() >= target) {
        wanted_ = 0;
        return {};
      }
    }
    Status done;
    if (short_file != nullptr) {
      done = extend(*short_file);
      if (done.ok() || done.error().code == Code::kDiskFull) {
        give(std::move(short_file));
      } else {
        // It may be as long as it should be, and nobody knows what of it is on disk.
        const std::scoped_lock lock(free_mutex_);
        doubtful_.push_back(std::move(short_file));
      }
    } else {
      auto made = make();
      done = made.status();
      if (made.ok()) give(std::move(*made));
    }
    if (!done.ok()) {
      const std::scoped_lock lock(free_mutex_);
      if (done.error().code == Code::kDiskFull) wanted_ = target;
      return done;
    }
  }
  return {};
}

bool SegmentPool::low() const {
  const std::scoped_lock lock(free_mutex_);
  return ready_.size() < wanted_;
}

std::size_t SegmentPool::files() const {
  const std::scoped_lock lock(free_mutex_);
  return ready_.size() + short_.size() + doubtful_.size();
}

std::uint64_t SegmentPool::bytes() const {
  const std::scoped_lock lock(free_mutex_);
  std::uint64_t sum = 0;
  for (const auto& file : ready_) sum += file->size();
  for (const auto& file : short_) sum += file->size();
  for (const auto& file : doubtful_) sum += file->size();
  return sum;
}

}  // namespace weir::journal
