// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/map.h"

#include <gtest/gtest.h>

#include <string>

namespace weir::wire {
namespace {

/// A map whose only field is made of `opening` so many times, and then nil.
Bytes nested(std::string_view opening, std::size_t times) {
  std::string text = "\x81\xa1x";
  for (std::size_t i = 0; i < times; ++i) text += opening;
  text += '\xc0';
  return {as_bytes(text).begin(), as_bytes(text).end()};
}

TEST(Map, IsNestedNoDeeperThanIsRememberedOfIt) {
  constexpr std::string_view kArray = "\x91";
  constexpr std::string_view kMap = "\x81\x01";
  for (const std::string_view opening : {kArray, kMap}) {
    EXPECT_TRUE(Announced::whole(nested(opening, kMapDepthMax - 1)));
    EXPECT_FALSE(Announced::whole(nested(opening, kMapDepthMax)));
    EXPECT_TRUE(MapReader::parse(nested(opening, kMapDepthMax - 2)).ok());
    EXPECT_FALSE(MapReader::parse(nested(opening, 1 << 20)).ok());
  }
}

TEST(Map, HoldsAsManyEmptyListsAsItLikes) {
  std::string text = "\x81\xa1x\xdc";
  text += {'\x10', '\x00'};  // 4096 of them
  for (int i = 0; i < 4096; ++i) text += i % 2 == 0 ? '\x90' : '\x80';
  const auto read = MapReader::parse(as_bytes(text));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->find("x")->via.array.size, 4096U);
}

}  // namespace
}  // namespace weir::wire
