// SPDX-License-Identifier: Apache-2.0
// A batch compressed and decompressed, beside copying it.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>

#include "sdk/wire/compression.h"
#include "tests/bench/pieces/sample_record.h"

namespace weir::bench {
namespace {

/// Records of 100 bytes as a log has them: much alike, and no two the same.
Bytes batch_of(std::size_t bytes) {
  Bytes batch;
  for (int i = 0; batch.size() < bytes; ++i) {
    const std::string line = "10.0." + std::to_string(i * 7919 % 256) + "." + std::to_string(i * 104729 % 256) +
                             " GET /shop/item/" + std::to_string(i * 1299709 % 100000) + " 200 " +
                             std::to_string(i * 15485863 % 50000);
    std::string value;
    encode(value, line);
    wire::append_record(batch, {i, wire::nil_bytes(), as_bytes(value), {}});
  }
  return batch;
}

Compression chosen(const benchmark::State& state) { return static_cast<Compression>(state.range(0)); }

void batch_compress(benchmark::State& state) {
  const Bytes batch = batch_of(static_cast<std::size_t>(state.range(1)));
  wire::Compressor compressor(chosen(state));
  Bytes out;
  for (auto _ : state) {
    out.clear();
    if (compressor.append(batch, out) != chosen(state)) state.SkipWithError("it is not compressed");
    benchmark::DoNotOptimize(out.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(batch.size()));
  state.counters["of_plain"] = static_cast<double>(out.size()) / static_cast<double>(batch.size());
}

void batch_decompress(benchmark::State& state) {
  const Bytes batch = batch_of(static_cast<std::size_t>(state.range(1)));
  Bytes packed;
  const auto compression = static_cast<std::uint32_t>(wire::Compressor(chosen(state)).append(batch, packed));
  wire::Decompressor decompressor;
  for (auto _ : state) {
    const auto records = decompressor.records(compression, packed, batch.size());
    if (!records.ok()) return state.SkipWithError("it is refused");
    benchmark::DoNotOptimize(records->data());
  }
  const auto records = decompressor.records(compression, packed, batch.size());
  if (!std::ranges::equal(*records, batch)) state.SkipWithError("the records differ");
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(batch.size()));
}

// 0 none: a copy; 1 LZ4, 2 zstd.
BENCHMARK(batch_compress)->ArgNames({"compression", "bytes"})->ArgsProduct({{0, 1, 2}, {4 << 10, 32 << 10, 1 << 20}});
BENCHMARK(batch_decompress)->ArgNames({"compression", "bytes"})->ArgsProduct({{0, 1, 2}, {4 << 10, 32 << 10, 1 << 20}});

}  // namespace
}  // namespace weir::bench
