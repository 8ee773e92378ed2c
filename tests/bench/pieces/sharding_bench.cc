// SPDX-License-Identifier: Apache-2.0
// From a key to its shard, and records to the frame of a transaction.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <vector>

#include "sdk/wire/frame.h"
#include "sdk/wire/key.h"
#include "stages/host/output.h"
#include "stages/host/transaction.h"
#include "tests/bench/pieces/sample_record.h"

namespace weir::bench {
namespace {

constexpr std::uint64_t kRecords = 4096;

std::vector<SampleRecord> sample_records() {
  std::vector<SampleRecord> records;
  for (std::uint64_t i = 0; i < kRecords; ++i) records.emplace_back(i * 7919);
  return records;
}

void shard_by_hash(benchmark::State& state) {
  const auto records = sample_records();
  const auto shards = static_cast<std::uint32_t>(state.range(0));
  std::vector<std::uint64_t> found(shards);
  for (auto _ : state) {
    for (const SampleRecord& record : records) {
      if (!wire::is_plainly_canonical(record.key())) return state.SkipWithError("a short text is canonical");
      ++found[wire::shard_by_hash(record.key(), shards).value()];
    }
  }
  if (std::ranges::count(found, 0U) > shards / 10) state.SkipWithError("too many shards got nothing");
  state.SetItemsProcessed(state.iterations() * kRecords);
}

/// All that emit costs behind the plugin boundary: shard, batch, frame.
void build_frame(benchmark::State& state) {
  const auto records = sample_records();
  Stream stream;
  stream.name = "records";
  stream.shards = static_cast<std::uint32_t>(state.range(0));
  if (stream.shards > 1) stream.partition = PartitionBy::kHash;
  host::FrameBuilder builder(0, stream.shards);
  host::Output output(stream, 0, &builder);
  Bytes frame;
  for (auto _ : state) {
    for (const SampleRecord& record : records) {
      output.mark();
      wire::RecordRef ref = record.ref();
      if (!output.add(ref, 0).ok()) return state.SkipWithError("a record is refused");
    }
    frame.clear();
    builder.append_to(frame, 0);
    builder.clear();
    output.next_transaction();
  }
  const auto view = wire::FrameView::parse(frame);
  if (!view || view->header().records != kRecords) state.SkipWithError("records are missing");
  state.SetItemsProcessed(state.iterations() * kRecords);
}

BENCHMARK(shard_by_hash)->Arg(32)->Arg(1024);
BENCHMARK(build_frame)->Arg(1)->Arg(32)->Arg(1024);

}  // namespace
}  // namespace weir::bench
