// SPDX-License-Identifier: Apache-2.0
// A transaction as a worker sends it: its frame is not looked into, so that its cost is per transaction.
#include <benchmark/benchmark.h>

#include "sdk/wire/changes.h"
#include "sdk/wire/commit.h"
#include "stages/host/transaction.h"
#include "tests/bench/pieces/sample_record.h"

namespace weir::bench {
namespace {

constexpr std::uint32_t kShards = 32;

/// Of every shard a range consumed, and a frame with records for each.
wire::Commit sample_commit() {
  wire::Commit commit;
  commit.transaction = 1;
  for (std::uint32_t shard = 0; shard < kShards; ++shard) {
    commit.consumed.push_back({0, shard, 100, 120});
    commit.advanced.push_back({shard, 1'700'000'000'000'000});
  }
  return commit;
}

Bytes sample_frame(std::uint64_t records) {
  host::FrameBuilder builder(1, kShards);
  for (std::uint64_t i = 0; i < records; ++i) {
    auto& batch = builder.shard(static_cast<std::uint32_t>(i % kShards));
    batch.records.append(SampleRecord(i).ref());
    ++batch.count;
  }
  Bytes frame;
  builder.append_to(frame, 0);
  return frame;
}

void commit_encode(benchmark::State& state) {
  const wire::Commit commit = sample_commit();
  const Bytes frame = sample_frame(static_cast<std::uint64_t>(state.range(0)));
  Bytes out;
  for (auto _ : state) {
    out.clear();
    wire::encode(commit, {BytesView(frame)}, out);
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(out.size()));
}

void commit_decode(benchmark::State& state) {
  const Bytes frame = sample_frame(static_cast<std::uint64_t>(state.range(0)));
  Bytes bytes;
  wire::encode(sample_commit(), {BytesView(frame)}, bytes);
  for (auto _ : state) {
    const auto decoded = wire::decode_commit(bytes, 0);
    if (!decoded || decoded->consumed.size() != kShards || decoded->frames.size() != 1) {
      return state.SkipWithError("the commit differs");
    }
  }
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}

BENCHMARK(commit_encode)->Arg(1)->Arg(640);
BENCHMARK(commit_decode)->Arg(1)->Arg(640);

}  // namespace
}  // namespace weir::bench
