// SPDX-License-Identifier: Apache-2.0
#include "weir/stored_key.h"

#include <gtest/gtest.h>

#include <string>

namespace weir {
namespace {

TEST(StoredKey, KeepsKeysOfEachLengthAfterWhatTheyCameFromIsGone) {
  StoredKey stored;
  EXPECT_EQ(stored.view(), "");
  for (std::size_t size = 0; size <= 3 * StoredKey::kInline; ++size) {
    std::string key(size, 'k');
    for (std::size_t i = 0; i < size; ++i) key[i] = static_cast<char>(i * 37);
    const std::string expected = key;
    stored.assign(key);
    key.assign(size, '!');
    EXPECT_EQ(stored.view(), expected) << size;
    stored.clear();
    EXPECT_EQ(stored.view(), "") << size;
  }
}

TEST(StoredKey, LiesWhereItIsUnlessItIsLong) {
  const auto lies_inside = [](std::size_t size) {
    StoredKey stored;
    stored.assign(std::string(size, 'k'));
    const auto* begin = reinterpret_cast<const char*>(&stored);
    return stored.view().data() >= begin && stored.view().data() + size <= begin + sizeof(stored);
  };
  EXPECT_TRUE(lies_inside(StoredKey::kInline));
  EXPECT_FALSE(lies_inside(StoredKey::kInline + 1));
  EXPECT_EQ(sizeof(StoredKey), 24U) << "with a value of 24 bytes an entry of a table is one line of the cache";
}

}  // namespace
}  // namespace weir
