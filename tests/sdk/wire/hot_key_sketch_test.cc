// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/hot_key_sketch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "sdk/wire/key.h"
#include "weir/encode.h"

namespace weir::wire {
namespace {

constexpr std::uint32_t kShards = 32;

std::string key_of(std::uint64_t number) {
  std::string key;
  encode_natural(key, number);
  return key;
}

bool add(HotKeySketch& sketch, std::uint64_t number) {
  const std::string key = key_of(number);
  return sketch.add(key_hash(as_bytes(key)), as_bytes(key));
}

/// Keys 0, 1, 2 ... by Zipf's law, as often as it says.
class Zipf {
 public:
  Zipf(double skew, std::uint64_t keys) {
    double sum = 0;
    for (std::uint64_t rank = 0; rank < keys; ++rank) sums_.push_back(sum += std::pow(rank + 1, -skew));
  }
  std::uint64_t next() {
    const double at = std::uniform_real_distribution<double>(0, sums_.back())(random_);
    return static_cast<std::uint64_t>(std::upper_bound(sums_.begin(), sums_.end(), at) - sums_.begin());
  }
  [[nodiscard]] double share(std::uint64_t rank) const {
    return (sums_[rank] - (rank == 0 ? 0 : sums_[rank - 1])) / sums_.back();
  }

 private:
  std::vector<double> sums_;
  std::mt19937_64 random_{7};
};

TEST(HotKeySketch, FindsTheKeysWithMoreThanTheirShareAndNoOthers) {
  for (const double skew : {1.0, 1.3, 2.0}) {
    HotKeySketch sketch(kShards);
    Zipf keys(skew, 100'000);
    std::map<std::uint64_t, int> hot;
    std::map<std::uint64_t, int> all;
    for (int i = 0; i < 200'000; ++i) add(sketch, keys.next());
    for (int i = 0; i < 200'000; ++i) {
      const std::uint64_t key = keys.next();
      hot[key] += add(sketch, key) ? 1 : 0;
      ++all[key];
    }
    for (const auto& [key, times] : all) {
      const double split = static_cast<double>(hot[key]) / times;
      const bool hot_beyond_doubt = keys.share(key) > 1.3 / (2 * kShards);
      const bool cold_beyond_doubt = keys.share(key) < 0.4 / (2 * kShards);
      EXPECT_TRUE(!hot_beyond_doubt || split > 0.95) << "key " << key << ", Zipf " << skew << ": " << split;
      EXPECT_TRUE(!cold_beyond_doubt || hot[key] == 0) << "key " << key << ", Zipf " << skew << ": " << split;
    }
  }
}

TEST(HotKeySketch, TellsThemMostFrequentFirstWithTheirShare) {
  HotKeySketch sketch(kShards);
  Zipf keys(1.5, 1000);
  for (int i = 0; i < 300'000; ++i) add(sketch, keys.next());
  const HotKeysSeen seen = sketch.seen();
  ASSERT_GE(seen.keys.size(), 4U);
  for (std::uint64_t rank = 0; rank < 3; ++rank) {
    const std::string key = key_of(rank);
    EXPECT_TRUE(std::ranges::equal(seen.keys[rank].key, as_bytes(key)));
    EXPECT_NEAR(static_cast<double>(seen.keys[rank].records) / static_cast<double>(seen.records), keys.share(rank),
                0.03);
  }
}

TEST(HotKeySketch, CallsNoneHotWhereAllAreAlike) {
  HotKeySketch sketch(kShards);
  for (std::uint64_t i = 0; i < 500'000; ++i) ASSERT_FALSE(add(sketch, i % 5000)) << "record " << i;
  EXPECT_TRUE(sketch.seen().keys.empty());
}

TEST(HotKeySketch, SeesAKeyThatCameOnceInSoManyWhateverTheOrder) {
  // Every eighth record is the key's: whoever looked at each eighth only would see always it, or never.
  HotKeySketch sketch(kShards);
  for (std::uint64_t i = 0; i < 50'000; ++i) add(sketch, i % 8 == 0 ? 1 : 1000 + i);
  const HotKeysSeen seen = sketch.seen();
  ASSERT_EQ(seen.keys.size(), 1U);
  EXPECT_NEAR(static_cast<double>(seen.keys[0].records) / static_cast<double>(seen.records), 0.125, 0.02);
}

TEST(HotKeySketch, ForgetsAKeyWhoseTimeIsOver) {
  HotKeySketch sketch(kShards);
  for (std::uint64_t i = 0; i < 100'000; ++i) add(sketch, i % 2 == 0 ? 1 : 100 + i);
  EXPECT_TRUE(add(sketch, 1));
  for (std::uint64_t i = 0; i < 1'500'000; ++i) add(sketch, i % 2 == 0 ? 2 : 1'000'000 + i);
  EXPECT_TRUE(add(sketch, 2));
  EXPECT_FALSE(add(sketch, 1));
}

TEST(HotKeySketch, KeepsWithAFewRecordsItsHandsOff) {
  HotKeySketch sketch(kShards);
  for (int i = 0; i < 15; ++i) EXPECT_FALSE(add(sketch, 1)) << "record " << i;
  EXPECT_TRUE(add(sketch, 1));
}

TEST(HotKeySketch, TellsNoNameThatIsTooLong) {
  HotKeySketch sketch(kShards);
  std::string key;
  encode_text(key, std::string(1000, 'k'));
  for (int i = 0; i < 100; ++i) sketch.add(key_hash(as_bytes(key)), as_bytes(key));
  ASSERT_EQ(sketch.seen().keys.size(), 1U);
  EXPECT_TRUE(sketch.seen().keys[0].key.empty());
}

}  // namespace
}  // namespace weir::wire
