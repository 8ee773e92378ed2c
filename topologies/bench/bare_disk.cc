// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/bare_disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "topologies/bench/forked.h"
#include "topologies/bench/shared.h"
#include "topologies/bench/ticks.h"

namespace weir::bench {
namespace {

constexpr std::size_t kGroupBytes = 1 << 20;
/// Written again and again: as large as a segment of the journal.
constexpr std::uint64_t kFileBytes = 64 << 20;
constexpr std::size_t kSyncBytes = 4096;
constexpr std::uint64_t kSyncs = 2'000;

/// A file without a name that is written full.
class FullFile {
 public:
  explicit FullFile(const std::string& folder)
      : descriptor_(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) {
    for (std::uint64_t at = 0; full_ && at < kFileBytes; at += zeros_.size()) full_ = write(at, zeros_.size());
    full_ = full_ && ::fsync(descriptor_) == 0;
  }
  FullFile(const FullFile&) = delete;
  FullFile& operator=(const FullFile&) = delete;
  ~FullFile() { ::close(descriptor_); }

  [[nodiscard]] bool is_full() const { return full_; }
  /// Bytes, at most a MiB, and syncs them.
  bool write_durably(std::uint64_t at, std::size_t bytes) { return write(at, bytes) && ::fdatasync(descriptor_) == 0; }

 private:
  bool write(std::uint64_t at, std::size_t bytes) {
    return ::pwrite(descriptor_, zeros_.data(), bytes, static_cast<off_t>(at)) == static_cast<ssize_t>(bytes);
  }

  const std::string zeros_ = std::string(kGroupBytes, '\0');
  const int descriptor_;
  bool full_ = true;
};

struct Written {
  std::uint64_t started_ns = 0;
  std::uint64_t ended_ns = 0;
};

Error failed(const std::string& folder) {
  return {Code::kIo, fmt::format("{}: a file of {} MiB cannot be written and synced there: see what this disk has free",
                                 folder, kFileBytes >> 20)};
}

}  // namespace

Result<Measurement> run_bare_disk(const Workload& workload, const std::string& folder) {
  const std::uint64_t bytes = workload.records * workload.record_bytes();
  Shared<Written> written;
  Forked process;
  const Status started = process.start("writer", [&] {
    FullFile file(folder);
    written->started_ns = ticks_ns();
    for (std::uint64_t done = 0; done < bytes; done += kGroupBytes) {
      const std::size_t size = std::min<std::uint64_t>(bytes - done, kGroupBytes);
      if (!file.is_full() || !file.write_durably(done % kFileBytes, size)) return false;
    }
    written->ended_ns = ticks_ns();
    return true;
  });
  if (!started.ok()) return started.error();
  auto uses = process.wait();
  if (!uses) return failed(folder);
  return Measurement{.what = "raw disk, a sync for each MiB",
                     .records = workload.records,
                     .bytes = bytes,
                     .seconds = seconds_between(written->started_ns, written->ended_ns),
                     .cpu_seconds = total_cpu_seconds(*uses),
                     .processes = *std::move(uses)};
}

Result<Measurement> run_bare_sync(const std::string& folder) {
  FullFile file(folder);
  if (!file.is_full()) return failed(folder);
  Histogram histogram;
  const std::uint64_t started_ns = ticks_ns();
  for (std::uint64_t i = 0; i < kSyncs; ++i) {
    const std::uint64_t before_ns = ticks_ns();
    if (!file.write_durably(i * kSyncBytes % kFileBytes, kSyncBytes)) return failed(folder);
    histogram.add(ticks_ns() - before_ns);
  }
  return Measurement{.what = "raw disk, 4 KiB and a sync",
                     .records = kSyncs,
                     .bytes = kSyncs * kSyncBytes,
                     .seconds = seconds_between(started_ns, ticks_ns()),
                     .processes = {},
                     .latency = Latency::of(histogram)};
}

}  // namespace weir::bench
