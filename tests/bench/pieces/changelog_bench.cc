// SPDX-License-Identifier: Apache-2.0
// What the broker does with changes of state: reads them, folds them, and writes and reads snapshots under TMPDIR.
#include <benchmark/benchmark.h>

#include <string>

#include "broker/journal/posix_disk.h"
#include "broker/server/lane_tail.h"
#include "broker/server/snapshot_file.h"
#include "tests/bench/pieces/sample_record.h"
#include "tests/bench/pieces/scratch.h"

namespace weir::bench {
namespace {

constexpr std::uint64_t kChanges = 1000;

/// The changes of one commit, of keys in an order that no cache foresees.
Bytes changes_of(std::uint64_t first, std::uint64_t count, std::uint64_t keys) {
  Bytes changes;
  std::string total;
  for (std::uint64_t i = first; i < first + count; ++i) {
    total.clear();
    encode(total, std::int64_t{1'000'000} + static_cast<std::int64_t>(i));
    const SampleRecord record(i * 7919 % keys);
    wire::append_change(changes, {wire::Space::kState, {}, record.key(), as_bytes(total)});
  }
  return changes;
}

void changes_read(benchmark::State& state) {
  const Bytes changes = changes_of(0, kChanges, 100'000);
  std::uint64_t found = 0;
  for (auto _ : state) {
    wire::ChangesReader reader(changes);
    for (found = 0; reader.next(); ++found) {
    }
  }
  if (found != kChanges) state.SkipWithError("changes are missing");
  state.SetItemsProcessed(state.iterations() * kChanges);
}

/// Ten changes of each key on the average, which become one.
void changes_fold(benchmark::State& state) {
  const auto keys = static_cast<std::uint64_t>(state.range(0));
  std::vector<Bytes> commits;
  for (std::uint64_t i = 0; i < 10 * keys; i += kChanges) commits.push_back(changes_of(i, kChanges, keys));
  std::size_t left = 0;
  for (auto _ : state) {
    server::LaneTail tail;
    for (const Bytes& changes : commits) tail.add(changes, false);
    const auto sorted = tail.sorted();
    if (!sorted) return state.SkipWithError(sorted.error().message.c_str());
    left = sorted->size();
  }
  if (left != keys) state.SkipWithError("keys are missing");
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(10 * keys));
}

constexpr std::uint64_t kSnapshotKeys = 200'000;

Status write_snapshot(journal::Disk& disk, std::uint64_t file, const server::LaneTail& tail) {
  auto writer = server::SnapshotWriter::create(disk, file, 0);
  if (!writer) return writer.status();
  if (Status merged = server::merge_lane({}, 0, &tail, *writer); !merged.ok()) return merged;
  return writer->finish().status();
}

void snapshot_write(benchmark::State& state) {
  const Scratch scratch("snapshot-bench");
  auto disk = journal::PosixDisk::open(scratch.path());
  if (!disk) return state.SkipWithError(disk.error().message.c_str());
  server::LaneTail tail;
  tail.add(changes_of(0, kSnapshotKeys, kSnapshotKeys), false);
  std::uint64_t file = 0;
  for (auto _ : state) {
    const Status written = write_snapshot(**disk, ++file, tail);
    if (!written.ok()) return state.SkipWithError(written.error().message.c_str());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kSnapshotKeys));
}

void snapshot_read(benchmark::State& state) {
  const Scratch scratch("snapshot-bench");
  auto disk = journal::PosixDisk::open(scratch.path());
  if (!disk) return state.SkipWithError(disk.error().message.c_str());
  server::LaneTail tail;
  tail.add(changes_of(0, kSnapshotKeys, kSnapshotKeys), false);
  if (!write_snapshot(**disk, 1, tail).ok()) return state.SkipWithError("the snapshot cannot be written");
  std::uint64_t found = 0;
  for (auto _ : state) {
    const auto reader = server::SnapshotReader::open(**disk, 1);
    if (!reader) return state.SkipWithError(reader.error().message.c_str());
    found = 0;
    const Status read = reader->read(0, [&](BytesView block) {
      wire::ChangesReader changes(block);
      while (changes.next()) ++found;
      return Status();
    });
    if (!read.ok()) return state.SkipWithError(read.error().message.c_str());
  }
  if (found != kSnapshotKeys) state.SkipWithError("keys are missing");
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kSnapshotKeys));
}

BENCHMARK(changes_read);
BENCHMARK(changes_fold)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMillisecond);
BENCHMARK(snapshot_write)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(snapshot_read)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace weir::bench
