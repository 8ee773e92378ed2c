// SPDX-License-Identifier: Apache-2.0
//
// What the journal costs above the bare system calls, on the disk under TMPDIR: each append of a group is followed by a
// raw pwrite of as many bytes onto blocks that exist, each with an fdatasync as the durability asks, so that whatever
// else the disk does meets both. `of_raw_loop` is the raw loop's time in relation to the journal's: 1 is as fast.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

#include "broker/journal/journal.h"
#include "broker/journal/posix_disk.h"
#include "tests/bench/pieces/scratch.h"

namespace weir::journal {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr std::uint64_t kSegmentBytes = 16 << 20;
/// Until segments are recycled instead of made there are so many; the raw loop goes over as much, so that caches serve
/// neither.
constexpr std::uint64_t kSegments = 6;
/// As `broker.interval` is by default.
constexpr Seconds kSyncInterval{0.05};

enum class Durability { kFsync, kInterval, kNone };

/// When a writer syncs: after each write, after a time of writing, or never.
class SyncRule {
 public:
  explicit SyncRule(Durability durability) : durability_(durability) {}
  bool due(Clock::time_point now) {
    if (durability_ != Durability::kInterval) return durability_ == Durability::kFsync;
    if (now - last_ < kSyncInterval) return false;
    last_ = now;
    return true;
  }

 private:
  Durability durability_;
  Clock::time_point last_ = Clock::now();
};

/// The raw loop, on a file that was written full before.
class RawLoop {
 public:
  explicit RawLoop(const std::string& path) : fd_(::open(path.c_str(), O_WRONLY | O_CLOEXEC)) {}
  RawLoop(const RawLoop&) = delete;
  RawLoop& operator=(const RawLoop&) = delete;
  ~RawLoop() { ::close(fd_); }

  bool write(const Bytes& bytes, bool synced) {
    if (at_ + bytes.size() > kSegments * kSegmentBytes) at_ = 0;
    if (::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at_)) != static_cast<ssize_t>(bytes.size()))
      return false;
    at_ += (bytes.size() + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    return !synced || ::fdatasync(fd_) == 0;
  }

 private:
  int fd_;
  std::uint64_t at_ = 0;
};

/// A journal in which segments are recycled instead of made, and which consumers that keep up hold to a few of them.
class WarmJournal {
 public:
  explicit WarmJournal(Disk& disk) : disk_(disk) {}

  Status open(std::span<const EntryView> group) {
    Recovery recovery;
    auto opened = Journal::open(disk_, {.segment_bytes = kSegmentBytes, .seed = 7}, recovery);
    if (!opened) return opened.status();
    journal_ = *std::move(opened);
    while (journal_->segment_newest() < kSegments) {
      Status done = append(group, false);
      if (done.ok()) done = trim();
      if (!done.ok()) return done;
    }
    return journal_->sync();
  }
  Status append(std::span<const EntryView> group, bool synced) {
    positions_.clear();
    Status done = journal_->append(group, positions_, synced ? Follows::kSync : Follows::kAnything);
    return done.ok() && synced ? journal_->sync() : done;
  }
  Status trim() {
    if (journal_->segment_newest() == segment_) return {};
    segment_ = journal_->segment_newest();
    if (Status synced = journal_->sync(); !synced.ok()) return synced;
    const auto ref = journal_->write_checkpoint_file(journal_->durable(), segment_, as_bytes("state"));
    if (!ref.ok()) return ref.status();
    const Bytes payload = encode(*ref);
    const BytesView part = payload;
    const EntryView entry{EntryKind::kCheckpoint, std::span(&part, 1)};
    positions_.clear();
    Status done = journal_->append(std::span(&entry, 1), positions_);
    if (done.ok()) done = journal_->sync();
    return done.ok() ? journal_->prepare_spare() : done;
  }
  [[nodiscard]] std::uint64_t written() const { return journal_->written().value(); }
  /// The last entry's bytes, as a reader gets them.
  [[nodiscard]] Result<Bytes> last() const { return journal_->read(positions_.back()); }

 private:
  Disk& disk_;
  std::unique_ptr<Journal> journal_;
  std::vector<Position> positions_;
  std::uint64_t segment_ = 1;
};

void append_beside_raw_loop(benchmark::State& state, Durability durability) {
  const bench::Scratch scratch("journal-bench");
  auto disk = PosixDisk::open(scratch.path() + "/journal");
  if (!disk.ok()) return state.SkipWithError(disk.error().message.c_str());
  auto raw_disk = PosixDisk::open(scratch.path() + "/raw");
  if (!raw_disk.ok() || !(*raw_disk)->create(std::string_view("file"), kSegments * kSegmentBytes).ok()) {
    return state.SkipWithError("the raw loop's file cannot be made");
  }
  const Bytes payload(static_cast<std::size_t>(state.range(0)), std::byte{'x'});
  const BytesView part = payload;
  const std::vector<EntryView> group(static_cast<std::size_t>(state.range(1)),
                                     {EntryKind::kRecord, std::span(&part, 1)});
  WarmJournal journal(**disk);
  if (const Status opened = journal.open(group); !opened.ok())
    return state.SkipWithError(opened.error().message.c_str());
  RawLoop raw(scratch.path() + "/raw/file");
  const Bytes raw_bytes(payload.size() * group.size(), std::byte{'x'});

  SyncRule journal_rule(durability);
  SyncRule raw_rule(durability);
  Seconds journal_time{0};
  Seconds raw_time{0};
  const std::uint64_t first = journal.written();
  for (auto _ : state) {
    const auto start = Clock::now();
    Status done = journal.append(group, journal_rule.due(start));
    const auto between = Clock::now();
    const bool raw_done = raw.write(raw_bytes, raw_rule.due(between));
    const auto end = Clock::now();
    if (done.ok()) done = journal.trim();
    if (!done.ok()) return state.SkipWithError(done.error().message.c_str());
    if (!raw_done) return state.SkipWithError("the raw loop cannot write");
    journal_time += between - start;
    raw_time += end - between;
    state.SetIterationTime(Seconds(between - start).count());
  }
  if (journal.written() < first + static_cast<std::uint64_t>(state.iterations()) * group.size()) {
    return state.SkipWithError("entries are missing");
  }
  const Status appended = journal.append(group, false);
  const auto last = journal.last();
  if (!appended.ok() || !last || *last != payload) return state.SkipWithError("the journal holds something else");
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(raw_bytes.size()));
  state.counters["of_raw_loop"] = raw_time / journal_time;
}

/// Sizes of one entry; then groups of small ones, as many producers make them.
void cases(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"bytes", "group"})->UseManualTime();
  for (const int bytes : {4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20}) benchmark->Args({bytes, 1});
  for (const int group : {8, 64}) benchmark->Args({4 << 10, group});
}

BENCHMARK_CAPTURE(append_beside_raw_loop, fsync, Durability::kFsync)->Apply(cases);
BENCHMARK_CAPTURE(append_beside_raw_loop, interval, Durability::kInterval)->Apply(cases);
BENCHMARK_CAPTURE(append_beside_raw_loop, none, Durability::kNone)->Apply(cases);

}  // namespace
}  // namespace weir::journal

BENCHMARK_MAIN();
