// SPDX-License-Identifier: Apache-2.0
// A running total per key, as a stage keeps it, beside a std::unordered_map that keeps the same and can undo nothing.
#include <benchmark/benchmark.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "tests/bench/pieces/sample_record.h"
#include "weir/state_store.h"

namespace weir::bench {
namespace {

constexpr std::uint64_t kTouched = 1 << 16;

std::string_view text(BytesView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// Keys in an order that no cache foresees.
std::vector<std::string> keys_of(std::int64_t keys) {
  std::vector<std::string> touched;
  std::uint64_t chance = 1;
  for (std::uint64_t i = 0; i < kTouched; ++i) {
    chance = chance * 6364136223846793005 + 1442695040888963407;
    touched.emplace_back(text(SampleRecord((chance >> 33) % static_cast<std::uint64_t>(keys)).key()));
  }
  return touched;
}

std::vector<std::string> all_keys(std::int64_t keys) {
  std::vector<std::string> all;
  for (std::int64_t i = 0; i < keys; ++i) all.emplace_back(text(SampleRecord(static_cast<std::uint64_t>(i)).key()));
  return all;
}

class NoChanges final : public StateChanges {
 public:
  void put(std::string_view key, std::string_view value) override { bytes += key.size() + value.size(); }
  void erase(std::string_view /*key*/) override {}
  std::uint64_t bytes = 0;
};

void state_touch(benchmark::State& state) {
  const auto touched = keys_of(state.range(0));
  StateTable<std::int64_t> table;
  std::uint64_t unit = 0;
  for (const std::string& key : all_keys(state.range(0))) table.touch(key, ++unit) = 0;
  NoChanges changes;
  table.keep();
  table.flush(changes);
  for (auto _ : state) {
    for (const std::string& key : touched) {
      ++table.touch(key, ++unit);
      table.keep();
    }
  }
  std::int64_t sum = 0;
  table.for_each([&](ValueView, std::int64_t total) { sum += total; });
  if (sum != state.iterations() * static_cast<std::int64_t>(kTouched)) state.SkipWithError("the totals are wrong");
  state.SetItemsProcessed(state.iterations() * kTouched);
}

/// The same with what a commit after each thousand records costs.
void state_touch_and_flush(benchmark::State& state) {
  const auto touched = keys_of(state.range(0));
  StateTable<std::int64_t> table;
  NoChanges changes;
  std::uint64_t unit = 0;
  for (const std::string& key : all_keys(state.range(0))) table.touch(key, ++unit) = 0;
  for (auto _ : state) {
    for (const std::string& key : touched) {
      ++table.touch(key, ++unit);
      table.keep();
      if (unit % 1000 == 0) table.flush(changes);
    }
  }
  if (changes.bytes == 0) state.SkipWithError("nothing was flushed");
  state.SetItemsProcessed(state.iterations() * kTouched);
}

void hash_map_touch(benchmark::State& state) {
  const auto touched = keys_of(state.range(0));
  std::unordered_map<std::string, std::int64_t> totals;
  for (const std::string& key : all_keys(state.range(0))) totals.emplace(key, 0);
  for (auto _ : state) {
    for (const std::string& key : touched) ++totals[key];
  }
  std::int64_t sum = 0;
  for (const auto& [key, total] : totals) sum += total;
  if (sum != state.iterations() * static_cast<std::int64_t>(kTouched)) state.SkipWithError("the totals are wrong");
  state.SetItemsProcessed(state.iterations() * kTouched);
}

BENCHMARK(hash_map_touch)->Arg(1000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(state_touch)->Arg(1000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(state_touch_and_flush)->Arg(1000)->Arg(100'000)->Arg(1'000'000);

}  // namespace
}  // namespace weir::bench
