// SPDX-License-Identifier: Apache-2.0
#include "weir/short_key.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace weir::short_key {
namespace {

TEST(ShortKey, IsTheSameWhereEveryByteIs) {
  for (std::size_t size = 0; size <= 40; ++size) {
    std::string key(size, 'k');
    for (std::size_t i = 0; i < size; ++i) key[i] = static_cast<char>(i * 37);
    // Of another place in memory.
    const std::string alike = "x" + key;
    EXPECT_TRUE(same(key, std::string_view(alike).substr(1))) << size;
    EXPECT_EQ(hash(key), hash(std::string_view(alike).substr(1))) << size;
    EXPECT_FALSE(same(key, key + "k")) << size;
    for (std::size_t i = 0; i < size; ++i) {
      std::string other = key;
      other[i] ^= 1;
      EXPECT_FALSE(same(key, other)) << size << " bytes, of which byte " << i << " differs";
      EXPECT_NE(hash(key), hash(other)) << size << " bytes, of which byte " << i << " differs";
    }
  }
}

/// As many as there are slots: by chance 1 - 1/e of these are taken.
void expect_spread(const std::string& beginning, int digits) {
  constexpr std::uint32_t kSlots = 1 << 14;
  std::set<std::uint32_t> low;
  std::set<std::uint32_t> high;
  for (std::uint32_t i = 0; i < kSlots; ++i) {
    std::string number = std::to_string(i);
    number.insert(0, static_cast<std::size_t>(digits) - number.size(), '0');
    const std::uint32_t hashed = hash(beginning + number);
    low.insert(hashed % kSlots);
    high.insert(hashed >> (32 - 14));
  }
  for (const auto* taken : {&low, &high})
    EXPECT_NEAR(static_cast<double>(taken->size()), kSlots * 0.632, kSlots * 0.02) << beginning << ", " << digits;
}

TEST(ShortKey, SpreadsKeysThatAreCountedUp) {
  expect_spread("", 5);
  expect_spread("k", 7);
  expect_spread("sensor/", 5);
  expect_spread("sensor/", 9);
  expect_spread("a long beginning of all: ", 5);
}

}  // namespace
}  // namespace weir::short_key
