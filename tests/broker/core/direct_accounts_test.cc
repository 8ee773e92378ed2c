// SPDX-License-Identifier: Apache-2.0
// Records past the broker are counted once each, whoever dies, and in whatever order that is learned.
#include "broker/core/direct_accounts.h"

#include <gtest/gtest.h>

namespace weir::core {
namespace {

constexpr std::uint32_t kStream = 3;
const Incarnation kSender(1);
const Incarnation kOther(2);
const Incarnation kTaker(11);
const Incarnation kSecond(12);

std::uint64_t lost(DirectAccounts& accounts) {
  std::uint64_t records = 0;
  for (const Lost& one : accounts.collect()) {
    EXPECT_EQ(one.stream, kStream);
    records += one.records;
  }
  return records;
}

TEST(DirectAccounts, LosesWhatAProducerHadLeftOnceAllItsConsumersAreThroughWithIt) {
  DirectAccounts accounts;
  accounts.emit(kSender, kStream, 10);
  EXPECT_EQ(accounts.take(kTaker, kSender, kStream, 3, 0), "");
  accounts.producer_gone(kSender, {kTaker, kSecond});
  accounts.through(kSecond, {kSender});
  EXPECT_EQ(lost(accounts), 0U) << "the first may still take some";
  EXPECT_EQ(accounts.take(kTaker, kSender, kStream, 4, 0), "");
  accounts.through(kTaker, {kSender});
  EXPECT_EQ(lost(accounts), 3U);
  EXPECT_EQ(accounts.on_the_way(kSender), 0U);
  EXPECT_NE(accounts.take(kTaker, kSender, kStream, 1, 0), "") << "nobody takes from it any more";
}

TEST(DirectAccounts, LosesWhatAConsumerHadNotTakenOnceItsProducersSayWhatTheySent) {
  DirectAccounts accounts;
  accounts.emit(kSender, kStream, 10);
  EXPECT_EQ(accounts.take(kTaker, kSender, kStream, 2, 0), "");
  accounts.consumer_gone(kTaker);
  EXPECT_EQ(lost(accounts), 0U) << "only the producer knows what was sent";
  EXPECT_EQ(accounts.withdrawn(kSender, kTaker, true, kStream, 7), "");
  EXPECT_EQ(lost(accounts), 5U);
  EXPECT_EQ(accounts.on_the_way(kSender), 3U) << "these go to another";
  EXPECT_EQ(accounts.take(kSecond, kSender, kStream, 3, 0), "");
  EXPECT_EQ(accounts.on_the_way(kSender), 0U);
}

TEST(DirectAccounts, LosesAllWhereBothAreGone) {
  DirectAccounts accounts;
  accounts.emit(kSender, kStream, 10);
  EXPECT_EQ(accounts.take(kTaker, kSender, kStream, 4, 0), "");
  accounts.producer_gone(kSender, {kTaker});
  accounts.consumer_gone(kTaker);
  EXPECT_EQ(lost(accounts), 6U);
}

TEST(DirectAccounts, LosesNothingWithAConsumerThatWasWithdrawnFromAndTookAll) {
  DirectAccounts accounts;
  accounts.emit(kSender, kStream, 10);
  EXPECT_EQ(accounts.withdrawn(kSender, kTaker, false, kStream, 6), "");
  EXPECT_FALSE(accounts.quiet(kTaker));
  EXPECT_EQ(accounts.take(kTaker, kSender, kStream, 6, 0), "");
  EXPECT_TRUE(accounts.quiet(kTaker));
  accounts.consumer_gone(kTaker);
  EXPECT_EQ(lost(accounts), 0U);
  EXPECT_EQ(accounts.on_the_way(kSender), 4U);
}

TEST(DirectAccounts, CountsWhatWasMissedOnTheWayOnce) {
  DirectAccounts accounts;
  accounts.emit(kSender, kStream, 10);
  EXPECT_EQ(accounts.take(kTaker, kSender, kStream, 3, 2), "");
  EXPECT_EQ(accounts.withdrawn(kSender, kTaker, false, kStream, 8), "");
  accounts.consumer_gone(kTaker);
  EXPECT_EQ(lost(accounts), 3U);
  EXPECT_EQ(accounts.on_the_way(kSender), 2U);
}

TEST(DirectAccounts, RefusesWhatCannotBe) {
  DirectAccounts accounts;
  accounts.emit(kSender, kStream, 10);
  accounts.emit(kOther, kStream, 1);
  EXPECT_EQ(accounts.judge(Incarnation(99), kStream, 1, 0), "it takes records of a worker that sends none");
  EXPECT_EQ(accounts.judge(kSender, kStream + 1, 1, 0),
            "it takes records of a stream that their worker does not write");
  EXPECT_EQ(accounts.judge(kSender, kStream, 11, 0), "it takes records that were never sent");
  EXPECT_EQ(accounts.judge(kSender, kStream, 10, 1), "it takes records that were never sent");
  EXPECT_EQ(accounts.judge(kSender, kStream, 1, UINT64_MAX), "it takes records that were never sent");
  EXPECT_EQ(accounts.withdrawn(kSender, kTaker, false, kStream, 11), "it says that it sent more than it has emitted");
  EXPECT_EQ(accounts.take(kTaker, kSender, kStream, 5, 0), "");
  EXPECT_EQ(accounts.withdrawn(kSender, kTaker, false, kStream, 4), "it says that it sent less than was taken");
}

}  // namespace
}  // namespace weir::core
