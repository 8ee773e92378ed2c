// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/segment_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "broker/journal/growth.h"
#include "broker/journal/segment.h"

namespace weir::journal {
namespace {

constexpr std::chrono::milliseconds kPauseMax{10};

}  // namespace

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
  auto begun = std::chrono::steady_clock::now();
  const auto wait = [&] {
    const auto took = std::chrono::steady_clock::now() - begun;
    if (awaited_.load(std::memory_order_relaxed) == 0) {
      std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(took, kPauseMax));
    }
    begun = std::chrono::steady_clock::now();
  };
  auto file = disk_.create_beside(kPartial, segment_bytes_, wait);
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
  // Said before the other thread is done, since it is what that thread looks at.
  struct Awaited {
    explicit Awaited(std::atomic<int>& count, bool one) : count_(count), one_(one) { count_ += one_; }
    ~Awaited() { count_ -= one_; }
    Awaited(const Awaited&) = delete;
    Awaited& operator=(const Awaited&) = delete;
    std::atomic<int>& count_;
    const int one_;
  } const awaited(awaited_, haste == Haste::kAwaited);
  const std::scoped_lock work(work_mutex_);
  while (true) {
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
      give(std::move(short_file));
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
}

bool SegmentPool::low() const {
  const std::scoped_lock lock(free_mutex_);
  return ready_.size() < wanted_;
}

std::size_t SegmentPool::files() const {
  const std::scoped_lock lock(free_mutex_);
  return ready_.size() + short_.size();
}

std::uint64_t SegmentPool::bytes() const {
  const std::scoped_lock lock(free_mutex_);
  std::uint64_t sum = 0;
  for (const auto& file : ready_) sum += file->size();
  for (const auto& file : short_) sum += file->size();
  return sum;
}

}  // namespace weir::journal
