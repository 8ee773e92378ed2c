// SPDX-License-Identifier: Apache-2.0
#include "broker/core/range_balance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "broker/core/key_sample.h"

namespace weir::core {
namespace {

using Keys = std::vector<Boundary>;

Keys numbers(std::vector<std::uint64_t> keys) {
  std::sort(keys.begin(), keys.end());
  return {keys.begin(), keys.end()};
}

/// So many keys that lie close together at `centre` and thin out on both sides.
Keys bell(std::mt19937_64& random, double centre, double width, std::size_t count) {
  std::normal_distribution<double> drawn(centre, width);
  std::vector<std::uint64_t> keys(count);
  for (std::uint64_t& key : keys) key = static_cast<std::uint64_t>(std::max(0.0, drawn(random)));
  return numbers(std::move(keys));
}

std::uint64_t busiest(const Keys& sample, const Keys& boundaries) {
  const auto counts = counts_of(sample, boundaries);
  return *std::max_element(counts.begin(), counts.end());
}

/// Moves until none is worth it; how many there were. Each is one boundary, between its neighbours.
std::size_t settle(const Keys& sample, Keys& boundaries) {
  std::size_t moves = 0;
  for (auto next = next_boundaries(sample, boundaries); next; next = next_boundaries(sample, boundaries), ++moves) {
    EXPECT_LT(moves, 1000U) << "it goes to and fro";
    if (moves == 1000) break;
    std::size_t differ = 0;
    for (std::size_t i = 0; i < boundaries.size(); ++i) differ += boundaries[i] == (*next)[i] ? 0 : 1;
    EXPECT_EQ(differ, 1U);
    EXPECT_TRUE(std::is_sorted(next->begin(), next->end(), is_before));
    boundaries = *next;
  }
  return moves;
}

TEST(RangeBalance, LearnsAsEvenPartsAsKeysLetIt) {
  EXPECT_EQ(even_boundaries(numbers({1, 2, 3, 4, 5, 6, 7, 8}), 4), numbers({3, 5, 7}));
  EXPECT_EQ(even_boundaries(numbers({1, 1, 1, 1, 1, 1, 7, 8}), 3), numbers({7, 8}));
  // A key has a shard for itself where it is that frequent, and its neighbours are not with it.
  EXPECT_EQ(counts_of(numbers({1, 2, 5, 5, 5, 5, 8, 9}), even_boundaries(numbers({1, 2, 5, 5, 5, 5, 8, 9}), 3)),
            (std::vector<std::uint64_t>{2, 4, 2}));
}

TEST(RangeBalance, LeavesShardsEmptyWhereThereAreFewerKeys) {
  for (const Keys& sample : {numbers({4}), numbers({4, 4, 9}), Keys{"a", "b", "b"}}) {
    const Keys boundaries = even_boundaries(sample, 8);
    ASSERT_EQ(boundaries.size(), 7U);
    EXPECT_TRUE(std::is_sorted(boundaries.begin(), boundaries.end(), is_before));
    EXPECT_LE(busiest(sample, boundaries), 2U);
  }
}

TEST(RangeBalance, PutsEveryNumberBeforeEveryText) {
  const Keys sample = {std::int64_t{-3}, std::uint64_t{2}, 2.5, std::uint64_t{1} << 63, "", "a", "é"};
  EXPECT_TRUE(std::is_sorted(sample.begin(), sample.end(), is_before));
  const Keys boundaries = even_boundaries(sample, 7);
  EXPECT_EQ(counts_of(sample, boundaries), std::vector<std::uint64_t>(7, 1));
}

TEST(RangeBalance, FollowsADriftStepByStepAndThenRests) {
  std::mt19937_64 random(1);
  for (const std::uint32_t shards : {2U, 8U, 32U}) {
    Keys boundaries = even_boundaries(bell(random, 10'000, 500, 4096), shards);
    for (const double centre : {10'100.0, 12'000.0, 40'000.0, 9'000.0, 5'000.0}) {
      const Keys sample = bell(random, centre, 800, 4096);
      settle(sample, boundaries);
      EXPECT_LE(busiest(sample, boundaries), 4096 / shards * 1.5 + 2 * std::sqrt(4096.0 / shards))
          << shards << " at " << centre;
      // Another sample of the same keys moves nothing, or next to nothing.
      EXPECT_LE(settle(bell(random, centre, 800, 4096), boundaries), shards / 8 + 1) << shards << " at " << centre;
    }
  }
}

TEST(RangeBalance, LeavesAloneWhatNoMoveMakesBetter) {
  // One key has nearly all: wherever the boundaries stand, its shard does.
  Keys sample = numbers(std::vector<std::uint64_t>(3000, 50));
  for (std::uint64_t key = 0; key < 100; ++key) sample.emplace_back(key);
  std::sort(sample.begin(), sample.end(), is_before);
  Keys boundaries = even_boundaries(sample, 8);
  EXPECT_EQ(settle(sample, boundaries), 0U);
  EXPECT_FALSE(next_boundaries({}, boundaries));
}

TEST(KeySample, HoldsTheNewestAndNoMoreThanItsPart) {
  KeySample sample(100);
  for (std::uint64_t key = 0; key < 1000; ++key) {
    if (sample.next()) sample.add(key);
  }
  const Keys keys = sample.sorted();
  ASSERT_EQ(keys.size(), 100U);
  EXPECT_EQ(keys.front(), Boundary(std::uint64_t{900}));
  sample.add(std::string_view(std::string(1000, 'x')));
  EXPECT_EQ(std::get<std::string>(sample.sorted().back()).size(), KeySample::kTextBytesMax);
}

TEST(KeySample, IsOfSomeSecondsWhereManyCome) {
  KeySample sample(100);
  Monotonic now{0};
  std::uint64_t key = 0;
  for (int second = 0; second < 20; ++second) {
    now += KeySample::kLookEvery;
    sample.look(now);
    for (int i = 0; i < 10'000; ++i, ++key) {
      if (sample.next()) sample.add(key);
    }
  }
  // About the last four seconds, spread evenly and at no fixed step.
  const Keys keys = sample.sorted();
  ASSERT_EQ(keys.size(), 100U);
  EXPECT_NEAR(static_cast<double>(std::get<std::uint64_t>(keys.front())), 160'000, 10'000);
  EXPECT_NEAR(static_cast<double>(std::get<std::uint64_t>(keys[50])), 180'000, 6'000);
  std::vector<std::uint64_t> steps;
  for (std::size_t i = 1; i < keys.size(); ++i)
    steps.push_back(std::get<std::uint64_t>(keys[i]) - std::get<std::uint64_t>(keys[i - 1]));
  std::sort(steps.begin(), steps.end());
  EXPECT_GT(std::unique(steps.begin(), steps.end()) - steps.begin(), 50);
}

}  // namespace
}  // namespace weir::core
