// SPDX-License-Identifier: Apache-2.0
//
// What it costs to find a record's shard, by each kind of partition, beside what it costs to put the record into a
// batch at all (the baseline). No disk is touched, so there is no durability. Each case checks its shards first.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "sdk/base/check.h"
#include "sdk/wire/sharding.h"
#include "weir/encode.h"

namespace weir::wire {
namespace {

constexpr std::size_t kRecords = 4096;
constexpr std::uint32_t kShards = 32;

/// Records with the keys 0, 7, 14, ... as numbers or as texts of 12 characters; the value holds the key twice.
struct Records {
  explicit Records(bool texts) {
    for (std::size_t i = 0; i < kRecords; ++i) {
      std::string key;
      const std::string digits = std::to_string(100'000'000'000 + 7 * i);
      if (texts) {
        encode(key, digits);
      } else {
        encode(key, std::uint64_t{7 * i});
      }
      std::string value;
      encode_map_head(value, 2);
      encode(value, "a");
      value += key;
      encode(value, "b");
      value += key;
      keys.push_back(std::move(key));
      values.push_back(std::move(value));
    }
  }
  [[nodiscard]] RecordRef at(std::size_t i) const { return {0, as_bytes(keys[i]), as_bytes(values[i]), {}}; }
  std::vector<std::string> keys;
  std::vector<std::string> values;
};

void baseline(benchmark::State& state) {
  const Records records(false);
  Bytes batch;
  for (auto _ : state) {
    batch.clear();
    for (std::size_t i = 0; i < kRecords; ++i) append_record(batch, records.at(i));
    benchmark::DoNotOptimize(batch.data());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kRecords));
}

void shard(benchmark::State& state, const Stream& stream, bool texts) {
  const Records records(texts);
  Sharding sharding(stream);
  std::vector<std::size_t> counts(stream.shards);
  for (std::size_t i = 0; i < kRecords; ++i) {
    RecordRef record = records.at(i);
    const auto found = sharding.shard_of(record, i);
    WEIR_CHECK(found.ok(), "every key of the benchmark suits its stream");
    ++counts.at(found->value());
  }
  for (const std::size_t count : counts) {
    WEIR_CHECK(2 * count * stream.shards > kRecords && count * stream.shards < 2 * kRecords, "the shards are even");
  }
  for (auto _ : state) {
    for (std::size_t i = 0; i < kRecords; ++i) {
      RecordRef record = records.at(i);
      benchmark::DoNotOptimize(sharding.shard_of(record, i));
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kRecords));
}

Stream by(PartitionBy partition) {
  Stream stream;
  stream.partition = partition;
  stream.shards = kShards;
  return stream;
}

Stream ranges(bool texts, std::size_t shards) {
  Stream stream = by(PartitionBy::kRange);
  stream.shards = static_cast<std::uint32_t>(shards);
  for (std::size_t i = 1; i < shards; ++i) {
    const std::uint64_t first = 7 * kRecords * i / shards;
    if (texts) {
      stream.boundaries.emplace_back(std::to_string(100'000'000'000 + first));
    } else {
      stream.boundaries.emplace_back(first);
    }
  }
  return stream;
}

Stream keyed_by(std::vector<std::string> pointers) {
  Stream stream = by(PartitionBy::kHash);
  stream.key = std::move(pointers);
  stream.key_is_list = stream.key.size() > 1;
  return stream;
}

BENCHMARK(baseline);
BENCHMARK_CAPTURE(shard, none, by(PartitionBy::kNone), false);
BENCHMARK_CAPTURE(shard, modulo, by(PartitionBy::kModulo), false);
BENCHMARK_CAPTURE(shard, hash_of_numbers, by(PartitionBy::kHash), false);
BENCHMARK_CAPTURE(shard, hash_of_texts, by(PartitionBy::kHash), true);
BENCHMARK_CAPTURE(shard, hash_of_a_field, keyed_by({"/b"}), true);
BENCHMARK_CAPTURE(shard, hash_of_two_fields, keyed_by({"/a", "/b"}), true);
BENCHMARK_CAPTURE(shard, range_of_numbers_2_shards, ranges(false, 2), false);
BENCHMARK_CAPTURE(shard, range_of_numbers_32_shards, ranges(false, 32), false);
BENCHMARK_CAPTURE(shard, range_of_texts_32_shards, ranges(true, 32), true);

}  // namespace
}  // namespace weir::wire

BENCHMARK_MAIN();
