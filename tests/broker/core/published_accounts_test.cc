// SPDX-License-Identifier: Apache-2.0
// What is published is counted once for each reader, whoever dies, and in whatever order that is learned.
#include "broker/core/published_accounts.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace weir::core {
namespace {

constexpr std::uint32_t kStream = 3;
const Incarnation kSender(1);
const Incarnation kOther(2);
const Incarnation kReader(11);
const Incarnation kSecond(12);

std::uint64_t lost(PublishedAccounts& accounts) {
  std::uint64_t records = 0;
  for (const Lost& one : accounts.collect()) {
    EXPECT_EQ(one.stream, kStream);
    records += one.records;
  }
  return records;
}

TEST(PublishedAccounts, LosesAtOnceWhatAReaderThatIsGoneHadNotTaken) {
  PublishedAccounts accounts;
  accounts.emit(kSender, kStream, 10, {kReader, kSecond});
  EXPECT_EQ(accounts.on_the_way(kSender), 20U);
  EXPECT_EQ(accounts.take(kReader, kSender, kStream, 4, 0), "");
  accounts.reader_gone(kReader);
  EXPECT_EQ(lost(accounts), 6U);
  EXPECT_EQ(accounts.on_the_way(kSender), 10U) << "the other one has its own";
  EXPECT_EQ(accounts.take(kSecond, kSender, kStream, 10, 0), "");
  EXPECT_EQ(accounts.on_the_way(kSender), 0U);
}

TEST(PublishedAccounts, LosesWhatAProducerHadLeftReaderByReaderAsTheyAreThroughWithIt) {
  PublishedAccounts accounts;
  accounts.emit(kSender, kStream, 10, {kReader, kSecond});
  accounts.producer_gone(kSender, {kReader, kSecond});
  EXPECT_EQ(lost(accounts), 0U) << "both may still take some";
  EXPECT_EQ(accounts.take(kReader, kSender, kStream, 7, 1), "");
  accounts.through(kReader, {kSender});
  EXPECT_EQ(lost(accounts), 2U);
  EXPECT_FALSE(accounts.quiet(kSecond));
  accounts.through(kSecond, {kSender});
  EXPECT_EQ(lost(accounts), 10U);
  EXPECT_TRUE(accounts.quiet(kSecond));
  EXPECT_NE(accounts.take(kSecond, kSender, kStream, 1, 0), "") << "nothing is left of it";
}

TEST(PublishedAccounts, LosesAtOnceWhatNobodyKnowsOfThatAProducerHadLeft) {
  PublishedAccounts accounts;
  accounts.emit(kSender, kStream, 10, {kReader, kSecond});
  accounts.producer_gone(kSender, {kSecond});
  EXPECT_EQ(lost(accounts), 10U);
}

TEST(PublishedAccounts, LosesWhatWasMeantForOneThatLeavesAndWasNotSent) {
  PublishedAccounts accounts;
  accounts.emit(kSender, kStream, 10, {kReader});
  EXPECT_EQ(accounts.take(kReader, kSender, kStream, 2, 0), "");
  EXPECT_TRUE(accounts.quiet(kReader)) << "more may come";
  EXPECT_EQ(accounts.withdrawn(kSender, kReader, kStream, 6), "");
  EXPECT_EQ(lost(accounts), 4U);
  EXPECT_FALSE(accounts.quiet(kReader)) << "four are on their way";
  EXPECT_EQ(accounts.take(kReader, kSender, kStream, 4, 0), "");
  EXPECT_TRUE(accounts.quiet(kReader));
}

TEST(PublishedAccounts, RefusesWhatWasNotMeantForWhoTakesIt) {
  PublishedAccounts accounts;
  accounts.emit(kSender, kStream, 5, {kReader});
  EXPECT_NE(accounts.take(kSecond, kSender, kStream, 1, 0), "");
  EXPECT_NE(accounts.take(kReader, kOther, kStream, 1, 0), "");
  EXPECT_NE(accounts.take(kReader, kSender, kStream + 1, 1, 0), "");
  EXPECT_NE(accounts.take(kReader, kSender, kStream, 5, 1), "");
  EXPECT_NE(accounts.take(kReader, kSender, kStream, UINT64_MAX, 2), "");
  EXPECT_EQ(accounts.take(kReader, kSender, kStream, 4, 1), "");
  EXPECT_NE(accounts.withdrawn(kSender, kReader, kStream, 6), "") << "more than it has emitted";
  EXPECT_NE(accounts.withdrawn(kSender, kReader, kStream, 4), "") << "less than was taken";
  EXPECT_EQ(accounts.withdrawn(kSender, kReader, kStream, 5), "");
  EXPECT_EQ(lost(accounts), 0U);
}

/// Whatever happens, in any order: what was meant is taken, lost or on its way, and in the end nothing is.
TEST(PublishedAccounts, CountEachRecordOnceForEachReaderInAnyOrderOfDeaths) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    std::mt19937_64 random(seed);
    const auto upto = [&](std::uint64_t most) { return most == 0 ? 0 : random() % (most + 1); };
    PublishedAccounts accounts;
    std::uint64_t meant = 0;
    std::uint64_t taken = 0;
    std::uint64_t missed = 0;
    std::vector<Incarnation> producers = {Incarnation(1), Incarnation(2)};
    std::set<Incarnation> gone;
    std::set<Incarnation> readers = {Incarnation(11), Incarnation(12), Incarnation(13)};
    std::map<std::pair<Incarnation, Incarnation>, std::uint64_t> left;  // producer, reader
    for (int step = 0; step < 60; ++step) {
      const Incarnation producer = producers[random() % 2];
      switch (random() % 8) {
        case 0:
        case 1:
        case 2: {
          if (gone.contains(producer)) break;
          const std::uint64_t records = upto(9) + 1;
          accounts.emit(producer, kStream, records, {readers.begin(), readers.end()});
          meant += records * readers.size();
          for (const Incarnation reader : readers) left[{producer, reader}] += records;
          break;
        }
        case 3:
        case 4:
        case 5: {
          if (readers.empty()) break;
          const Incarnation reader =
              *std::next(readers.begin(), static_cast<std::ptrdiff_t>(random() % readers.size()));
          std::uint64_t& rest = left[{producer, reader}];
          const std::uint64_t records = upto(rest);
          const std::uint64_t missing = upto(rest - records);
          if (records + missing == 0) break;
          ASSERT_EQ(accounts.take(reader, producer, kStream, records, missing), "") << seed;
          taken += records;
          missed += missing;
          rest -= records + missing;
          break;
        }
        case 6:
          if (step < 30 || !gone.insert(producer).second) break;
          accounts.producer_gone(producer, readers);
          break;
        default: {
          if (step < 30 || readers.empty()) break;
          const Incarnation reader = *readers.begin();
          if (random() % 2 == 0) {
            for (const Incarnation each : gone) {
              accounts.through(reader, {each});
              left[{each, reader}] = 0;
            }
          } else {
            accounts.reader_gone(reader);
            readers.erase(reader);
          }
        }
      }
    }
    for (const Incarnation reader : readers) accounts.reader_gone(reader);
    ASSERT_EQ(taken + missed + lost(accounts), meant) << seed;
    ASSERT_EQ(accounts.on_the_way(Incarnation(1)) + accounts.on_the_way(Incarnation(2)), 0U) << seed;
  }
}

}  // namespace
}  // namespace weir::core
