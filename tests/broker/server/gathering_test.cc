// SPDX-License-Identifier: Apache-2.0
#include "broker/server/gathering.h"

#include <gtest/gtest.h>

namespace weir::server {
namespace {

core::NewEntry entry(std::uint64_t sequence, bool awaited, std::size_t bytes = 10) {
  return {Sequence(sequence), false, Durability::kFsync, awaited, core::Buffer::of(Bytes(bytes))};
}

TEST(Gathering, LetsAnEntryThatNobodyWaitsForGatherUntilItHasWaitedLongEnough) {
  Gathering gathering;
  const Monotonic start{1'000'000};
  gathering.add(entry(1, false), start);
  EXPECT_FALSE(gathering.due(start));
  ASSERT_TRUE(gathering.due_at());
  EXPECT_EQ(*gathering.due_at(), start + Gathering::kLongest);
  gathering.add(entry(2, false), start + Gathering::kLongest / 2);
  EXPECT_FALSE(gathering.due(start + Gathering::kLongest - Monotonic(1)));
  EXPECT_TRUE(gathering.due(start + Gathering::kLongest));
}

TEST(Gathering, GivesAllThatCameBeforeAnEntryThatIsAwaitedInOrder) {
  Gathering gathering;
  for (std::uint64_t i = 1; i <= 3; ++i) gathering.add(entry(i, i == 3), Monotonic(5));
  ASSERT_TRUE(gathering.due(Monotonic(5)));
  const auto taken = gathering.take();
  ASSERT_EQ(taken.size(), 3U);
  for (std::uint64_t i = 0; i < 3; ++i) EXPECT_EQ(taken[i].sequence.value(), i + 1);
  EXPECT_FALSE(gathering.due(Monotonic(1'000'000)));
  EXPECT_FALSE(gathering.due_at());
}

TEST(Gathering, StartsAnewBehindWhatWasTaken) {
  Gathering gathering;
  gathering.add(entry(1, true), Monotonic(5));
  (void)gathering.take();
  gathering.add(entry(2, false), Monotonic(9));
  EXPECT_FALSE(gathering.due(Monotonic(9)));
  EXPECT_EQ(*gathering.due_at(), Monotonic(9) + Gathering::kLongest);
}

TEST(Gathering, IsDueOnceItHasComeToItsSize) {
  Gathering gathering;
  gathering.add(entry(1, false, Gathering::kBytesMax - 1), Monotonic(5));
  EXPECT_FALSE(gathering.due(Monotonic(5)));
  gathering.add(entry(2, false, 1), Monotonic(5));
  EXPECT_TRUE(gathering.due(Monotonic(5)));
}

TEST(Gathering, HurriesForASyncThatIsWanted) {
  Gathering gathering;
  gathering.hurry();
  EXPECT_FALSE(gathering.due(Monotonic(5)));
  gathering.add(entry(1, false), Monotonic(5));
  gathering.hurry();
  EXPECT_TRUE(gathering.due(Monotonic(5)));
}

}  // namespace
}  // namespace weir::server
