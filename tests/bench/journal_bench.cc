// SPDX-License-Identifier: Apache-2.0
//
// What the journal costs above the bare system calls, on the disk under TMPDIR. Each append is one entry; each case
// with a sync waits for it, as durability `fsync` does. Compare a case with the baseline of the same size and run:
// both overwrite blocks that exist.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "broker/journal/journal.h"
#include "broker/journal/posix_disk.h"

namespace weir::journal {
namespace {

constexpr std::uint64_t kSegmentBytes = 16 << 20;

std::string fresh_directory() {
  const char* base = std::getenv("TMPDIR");
  std::string path = std::string(base != nullptr ? base : "/tmp") + "/weir-journal-bench-" + std::to_string(::getpid());
  std::filesystem::remove_all(path);
  return path;
}

/// Keeps the journal to a few segments, as consumers that keep up do.
Status trim(Journal& journal, std::uint64_t& segment, std::vector<Position>& positions) {
  positions.clear();
  if (journal.segment_newest() == segment) return {};
  segment = journal.segment_newest();
  if (Status synced = journal.sync(); !synced.ok()) return synced;
  const auto ref = journal.write_checkpoint_file(journal.durable(), segment, as_bytes("state"));
  if (!ref.ok()) return ref.status();
  const Bytes payload = encode(*ref);
  const BytesView part = payload;
  const EntryView entry{EntryKind::kCheckpoint, std::span(&part, 1)};
  return journal.append(std::span(&entry, 1), positions);
}

void append(benchmark::State& state, bool synced) {
  const std::string directory = fresh_directory();
  auto disk = PosixDisk::open(directory);
  Recovery recovery;
  auto journal = Journal::open(**disk, {.segment_bytes = kSegmentBytes, .seed = 7}, recovery);
  if (!journal.ok()) return state.SkipWithError(journal.error().message.c_str());
  const Bytes payload(static_cast<std::size_t>(state.range(0)), std::byte{'x'});
  const BytesView part = payload;
  const EntryView entry{EntryKind::kRecord, std::span(&part, 1)};
  std::vector<Position> positions;
  std::uint64_t segment = 1;
  // Until segments are recycled instead of made.
  while ((*journal)->segment_newest() < 6) {
    Status done = (*journal)->append(std::span(&entry, 1), positions);
    if (done.ok()) done = trim(**journal, segment, positions);
    if (!done.ok()) return state.SkipWithError(done.error().message.c_str());
  }
  const std::uint64_t first = (*journal)->written().value();
  while (state.KeepRunning()) {
    Status done = (*journal)->append(std::span(&entry, 1), positions);
    if (done.ok() && synced) done = (*journal)->sync();
    if (done.ok()) done = trim(**journal, segment, positions);
    if (!done.ok()) return state.SkipWithError(done.error().message.c_str());
  }
  if ((*journal)->written().value() < first + static_cast<std::uint64_t>(state.iterations())) {
    state.SkipWithError("entries are missing");
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
  journal = {Code::kUnavailable, "closed"};
  std::filesystem::remove_all(directory);
}

void baseline(benchmark::State& state, bool synced) {
  const std::string directory = fresh_directory();
  auto disk = PosixDisk::open(directory);
  auto file = (*disk)->create(std::string_view("baseline"), kSegmentBytes);
  if (!file.ok()) return state.SkipWithError(file.error().message.c_str());
  const Bytes payload(static_cast<std::size_t>(state.range(0) + kBlockBytes) / kBlockBytes * kBlockBytes);
  const BytesView part = payload;
  std::uint64_t at = 0;
  while (state.KeepRunning()) {
    if (at + payload.size() > kSegmentBytes) at = 0;
    Status done = (*file)->write(at, std::span(&part, 1));
    if (done.ok() && synced) done = (*file)->sync();
    if (!done.ok()) return state.SkipWithError(done.error().message.c_str());
    at += payload.size();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
  std::filesystem::remove_all(directory);
}

BENCHMARK_CAPTURE(baseline, fsync, true)->Arg(1000)->Arg(65000)->Arg(1000000)->UseRealTime();
BENCHMARK_CAPTURE(append, fsync, true)->Arg(1000)->Arg(65000)->Arg(1000000)->UseRealTime();
BENCHMARK_CAPTURE(baseline, none, false)->Arg(1000)->Arg(65000)->Arg(1000000)->UseRealTime();
BENCHMARK_CAPTURE(append, none, false)->Arg(1000)->Arg(65000)->Arg(1000000)->UseRealTime();

}  // namespace
}  // namespace weir::journal

BENCHMARK_MAIN();
