// SPDX-License-Identifier: Apache-2.0
// A record into a batch and out of it.
#include <benchmark/benchmark.h>

#include "tests/bench/pieces/sample_record.h"
#include "weir/value.h"

namespace weir::bench {
namespace {

constexpr int kBatchRecords = 640;

void count_records(benchmark::State& state) { state.SetItemsProcessed(state.iterations() * kBatchRecords); }

void record_append(benchmark::State& state) {
  const SampleRecord record(1, static_cast<std::size_t>(state.range(0)));
  Bytes batch;
  for (auto _ : state) {
    batch.clear();
    for (int i = 0; i < kBatchRecords; ++i) wire::append_record(batch, record.ref());
    benchmark::DoNotOptimize(batch.data());
  }
  if (batch.size() != kBatchRecords * wire::record_bytes(record.ref())) state.SkipWithError("bytes are missing");
  count_records(state);
}

void record_read(benchmark::State& state) {
  const SampleRecord record(1, static_cast<std::size_t>(state.range(0)));
  Bytes batch;
  for (int i = 0; i < kBatchRecords; ++i) wire::append_record(batch, record.ref());
  std::uint64_t bytes = 0;
  for (auto _ : state) {
    wire::BatchReader reader(batch);
    bytes = 0;
    while (const auto next = reader.next()) bytes += next->key.size() + next->value.size();
    benchmark::DoNotOptimize(bytes);
  }
  if (bytes != kBatchRecords * (record.ref().key.size() + record.ref().value.size()))
    state.SkipWithError("records differ");
  count_records(state);
}

/// What a stage does with a number: from MessagePack and back.
void value_decode_and_encode(benchmark::State& state) {
  std::string number;
  encode(number, std::int64_t{123'456});
  std::string out;
  std::int64_t found = 0;
  for (auto _ : state) {
    out.clear();
    for (int i = 0; i < kBatchRecords; ++i) {
      found = ValueView(as_bytes(number)).as<std::int64_t>();
      encode(out, found + 1);
    }
    benchmark::DoNotOptimize(out.data());
  }
  if (found != 123'456) state.SkipWithError("the number differs");
  count_records(state);
}

BENCHMARK(record_append)->Arg(66)->Arg(990);
BENCHMARK(record_read)->Arg(66)->Arg(990);
BENCHMARK(value_decode_and_encode);

}  // namespace
}  // namespace weir::bench
