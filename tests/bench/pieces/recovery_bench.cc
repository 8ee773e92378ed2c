// SPDX-License-Identifier: Apache-2.0
// A start: the journal is recovered and what lies behind its checkpoint is read, under TMPDIR; beside it, the same
// bytes read by pread.
#include <benchmark/benchmark.h>
#include <fcntl.h>

#include <vector>

#include "broker/journal/journal.h"
#include "broker/journal/posix_disk.h"
#include "tests/bench/pieces/scratch.h"

namespace weir::bench {
namespace {

constexpr std::uint64_t kSegmentBytes = 64 << 20;
constexpr std::size_t kEntryBytes = 64 << 10;

journal::JournalOptions options() { return {.segment_bytes = kSegmentBytes, .seed = 7}; }

/// A journal with so many MiB in it.
Status fill(journal::Disk& disk, std::int64_t mebibytes) {
  journal::Recovery recovery;
  auto journal = journal::Journal::open(disk, options(), recovery);
  if (!journal) return journal.status();
  const Bytes payload(kEntryBytes, std::byte{'x'});
  const BytesView part = payload;
  const journal::EntryView entry{journal::EntryKind::kRecord, std::span(&part, 1)};
  std::vector<journal::Position> positions;
  for (std::int64_t i = 0; i < mebibytes * 16; ++i) {
    positions.clear();
    if (Status done = (*journal)->append(std::span(&entry, 1), positions); !done.ok()) return done;
  }
  return (*journal)->sync();
}

void recover(benchmark::State& state) {
  const Scratch scratch("recovery-bench");
  auto disk = journal::PosixDisk::open(scratch.path());
  if (!disk) return state.SkipWithError(disk.error().message.c_str());
  if (const Status filled = fill(**disk, state.range(0)); !filled.ok()) {
    return state.SkipWithError(filled.error().message.c_str());
  }
  std::int64_t entries = 0;
  for (auto _ : state) {
    journal::Recovery recovery;
    auto journal = journal::Journal::open(**disk, options(), recovery);
    if (!journal) return state.SkipWithError(journal.error().message.c_str());
    entries = 0;
    const Status read =
        (*journal)->replay([&](Sequence, journal::Position, journal::EntryKind kind, BytesView payload) {
          if (kind == journal::EntryKind::kRecord && payload.size() == kEntryBytes) ++entries;
          return Status();
        });
    if (!read.ok()) return state.SkipWithError(read.error().message.c_str());
  }
  if (entries != state.range(0) * 16) state.SkipWithError("entries are missing");
  state.SetBytesProcessed(state.iterations() * (state.range(0) << 20));
}

void read_raw(benchmark::State& state) {
  const Scratch scratch("recovery-bench");
  auto disk = journal::PosixDisk::open(scratch.path());
  if (!disk) return state.SkipWithError(disk.error().message.c_str());
  auto file = (*disk)->create(std::string_view("raw"), static_cast<std::uint64_t>(state.range(0)) << 20);
  if (!file) return state.SkipWithError(file.error().message.c_str());
  const int fd = ::open((scratch.path() + "/raw").c_str(), O_RDONLY | O_CLOEXEC);
  std::vector<char> buffer(1 << 20);
  std::int64_t bytes = 0;
  for (auto _ : state) {
    bytes = 0;
    for (ssize_t got = 1; got > 0; bytes += got) got = ::pread(fd, buffer.data(), buffer.size(), bytes);
  }
  ::close(fd);
  if (bytes != state.range(0) << 20) state.SkipWithError("bytes are missing");
  state.SetBytesProcessed(state.iterations() * bytes);
}

BENCHMARK(read_raw)->Arg(16)->Arg(256)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(recover)->Arg(16)->Arg(256)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace weir::bench
