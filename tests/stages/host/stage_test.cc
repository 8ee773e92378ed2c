// SPDX-License-Identifier: Apache-2.0
// The runner through weir/testing.h, as tests of stages use it: its own test is that of the worker's promises to a
// stage.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weir/testing.h"

namespace weir::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::SizeIs;

std::vector<int> values(Harness& stage) {
  std::vector<int> list;
  for (const Output& output : stage.outputs()) list.push_back(output.value<int>());
  return list;
}

template <typename Work>
std::string failure_of(Work work) {
  try {
    work();
  } catch (const Failed& failed) {
    return failed.what();
  }
  return "";
}

TEST(StageUnderTest, GivesWhatItEmitsWithKeyAndTimestamp) {
  Harness twice(WEIR_TEST_PROBE, "probe.twice");
  twice.feed("a", 1, 1000);
  const auto outputs = twice.outputs();
  ASSERT_THAT(outputs, SizeIs(2));
  EXPECT_EQ(outputs[1].key<std::string>(), "a");
  EXPECT_EQ(outputs[1].value<int>(), 1);
  EXPECT_EQ(outputs[1].timestamp, 1000);
  EXPECT_TRUE(outputs[1].raw_headers.bytes().empty());
}

TEST(FailedRecord, LeavesNothingOfWhatItEmitted) {
  Harness twice(WEIR_TEST_PROBE, "probe.twice");
  for (const int value : {1, 13, 2}) twice.feed(nullptr, value);
  EXPECT_THAT(values(twice), ElementsAre(1, 1, 2, 2));
  EXPECT_EQ(twice.errors(), 1U);
}

TEST(FailedRecord, DoesNotTakeTheRecordBeforeWithItWhenItFailsAtOnce) {
  Harness twice(WEIR_TEST_PROBE, "probe.twice");
  for (const int value : {1, 14, 14, 2}) twice.feed(nullptr, value);
  EXPECT_THAT(values(twice), ElementsAre(1, 1, 2, 2));
  EXPECT_THAT(twice.dead_letters(), SizeIs(2));
}

TEST(FailedRecord, BecomesADeadLetterWithItsPlaceAndReason) {
  Harness twice(WEIR_TEST_PROBE, "probe.twice");
  twice.feed("a", 1, 10);
  twice.feed("b", 13, 20);
  const auto letters = twice.dead_letters();
  ASSERT_THAT(letters, SizeIs(1));
  EXPECT_EQ(letters[0].reason, "thirteen");
  EXPECT_EQ(letters[0].offset, 1U);
  EXPECT_EQ(letters[0].attempts, 1U);
  EXPECT_EQ(letters[0].timestamp, 20);
  EXPECT_EQ(letters[0].key<std::string>(), "b");
  EXPECT_EQ(letters[0].value<int>(), 13);
}

TEST(FailedRecord, IsTriedAgainAsOftenAsTheTopologySays) {
  Harness recovers(WEIR_TEST_PROBE, "probe.twice", R"({"fail": "twice"})", {.retries = 1});
  for (const int value : {1, 13, 2}) recovers.feed(nullptr, value);
  EXPECT_THAT(values(recovers), ElementsAre(1, 1, 13, 13, 2, 2));
  EXPECT_THAT(recovers.dead_letters(), IsEmpty());

  Harness gives_up(WEIR_TEST_PROBE, "probe.twice", "{}", {.retries = 3});
  gives_up.feed(nullptr, 13);
  ASSERT_THAT(gives_up.dead_letters(), SizeIs(1));
  EXPECT_EQ(gives_up.dead_letters()[0].attempts, 4U);
  EXPECT_EQ(gives_up.errors(), 1U);
}

TEST(FailedRecord, IsSkippedAndCountedOrEndsTheWorkerAsTheTopologySays) {
  Harness skips(WEIR_TEST_PROBE, "probe.twice", "{}", {.then = Then::kSkip});
  for (const int value : {13, 2}) skips.feed(nullptr, value);
  EXPECT_THAT(values(skips), ElementsAre(2, 2));
  EXPECT_EQ(skips.dropped("skipped"), 1U);
  EXPECT_THAT(skips.dead_letters(), IsEmpty());

  Harness fails(WEIR_TEST_PROBE, "probe.twice", "{}", {.then = Then::kFail});
  fails.feed(nullptr, 1);
  fails.feed(nullptr, 13);
  EXPECT_THAT(failure_of([&] { fails.run(); }), HasSubstr("offset 1: thirteen"));
}

TEST(FailedRecord, EndsTheWorkerWhereTheStageCallsItFatal) {
  Harness twice(WEIR_TEST_PROBE, "probe.twice");
  twice.feed(nullptr, 15);
  EXPECT_THAT(failure_of([&] { twice.run(); }), HasSubstr("fifteen"));
}

TEST(FailedRecord, LeavesStateAsItWas) {
  Harness count(WEIR_TEST_PROBE, "probe.count");
  for (const int value : {1, 13, 1}) count.feed("a", value);
  EXPECT_THAT(values(count), ElementsAre(1, 2));
  EXPECT_EQ(count.state<int>("a", "n"), 2);

  Harness total(WEIR_TEST_TYPED, "typed.total");
  for (const int value : {5, 13, 2}) total.feed("a", value);
  EXPECT_THAT(values(total), ElementsAre(5, 7));
  EXPECT_EQ(total.state<int>("a"), 7);
  EXPECT_EQ(total.dead_letters()[0].reason, "thirteen");
}

TEST(RefusedEmit, MayNotBeIgnoredByTheStage) {
  Harness ignores(WEIR_TEST_PROBE, "probe.ignores");
  ignores.feed(nullptr, 1);
  EXPECT_THAT(failure_of([&] { ignores.run(); }), HasSubstr("emits to port 7"));
  Harness ends(WEIR_TEST_PROBE, "probe.ignores");
  EXPECT_THAT(failure_of([&] { ends.finish(); }), HasSubstr("goes on after a record that it emitted was refused"));
}

TEST(RefusedEmit, MayNotBeIgnoredByASource) {
  Harness careless(WEIR_TEST_PROBE, "probe.careless");
  EXPECT_THAT(failure_of([&] { careless.run(); }), HasSubstr("goes on after a record that it emitted was refused"));
}

TEST(Drops, OfARecordThatFailsDoNotCount) {
  Harness late(WEIR_TEST_PROBE, "probe.late", "{}", {.retries = 3});
  for (const int value : {1, 2, 13, 3}) late.feed(nullptr, value);
  late.run();
  EXPECT_EQ(late.dropped("late"), 3U);
  EXPECT_EQ(late.dead_letters().size(), 1U);
}

TEST(DeadLetters, KeepTheBeginningOfAReasonThatIsTooLong) {
  Harness rants(WEIR_TEST_TYPED, "typed.rants");
  rants.feed("a", 1);
  ASSERT_EQ(rants.dead_letters().size(), 1U);
  const std::string reason = rants.dead_letters().front().reason;
  EXPECT_LT(reason.size(), 5000U);
  EXPECT_TRUE(reason.ends_with("\xc3\xa4 ...")) << "cut between two characters";
}

TEST(State, HasANameThatTheJournalCanHold) {
  Harness named(WEIR_TEST_PROBE, "probe.named");
  named.feed("a", 65);
  named.feed("a", 66);
  ASSERT_EQ(named.dead_letters().size(), 1U);
  EXPECT_THAT(named.dead_letters().front().reason, HasSubstr("66000 bytes; it may have 65535"));
  EXPECT_EQ(named.states().size(), 1U);
}

TEST(State, IsLoadedAgainAfterARestart) {
  for (const auto& [library, plugin, name] :
       {std::tuple(WEIR_TEST_PROBE, "probe.count", "n"), std::tuple(WEIR_TEST_TYPED, "typed.total", "")}) {
    Harness stage(library, plugin, "{}", {.shards = 4});
    for (const char* key : {"a", "b", "c", "d"}) stage.feed(key, 1);
    stage.restart();
    stage.feed("a", 1);
    EXPECT_EQ(stage.outputs().back().value<int>(), 2) << plugin;
    EXPECT_EQ(stage.state<int>("b", name), 1) << plugin;
  }
}

TEST(State, OfALostTransactionIsThatOfTheOneBefore) {
  Harness count(WEIR_TEST_PROBE, "probe.count");
  count.feed("a", 1);
  count.run();
  count.feed("a", 1);
  count.crash();
  EXPECT_THAT(values(count), ElementsAre(1, 2));
  EXPECT_EQ(count.state<int>("a", "n"), 2);
}

TEST(State, ThatIsErasedIsGone) {
  Harness count(WEIR_TEST_PROBE, "probe.count");
  count.feed("a", 1);
  count.run();
  count.feed("a", 0);
  EXPECT_THAT(count.states(), IsEmpty());
  count.restart();
  count.feed("a", 1);
  EXPECT_THAT(values(count), ElementsAre(1, 1));
}

TEST(State, IsRefusedToAStageThatDoesNotSayThatItIsKeyed) {
  Harness unkeyed(WEIR_TEST_PROBE, "probe.unkeyed");
  unkeyed.feed("a", 1);
  EXPECT_THAT(failure_of([&] { unkeyed.run(); }), HasSubstr("keyed"));
}

TEST(Transaction, ClosesBeforeItIsLargerThanTheTopologyAllows) {
  Harness burst(WEIR_TEST_PROBE, "probe.burst", "{}", {.transaction_bytes_max = 1 << 20});
  for (int i = 0; i < 20; ++i) burst.feed(nullptr, 1);
  EXPECT_THAT(burst.outputs(), SizeIs(20'000));
  EXPECT_GE(burst.transactions(), 4U);
}

TEST(Transaction, FailsTheRecordThatIsTooLargeForOneAlone) {
  Harness burst(WEIR_TEST_PROBE, "probe.burst", "{}", {.transaction_bytes_max = 1 << 20});
  for (const int value : {1, 100, 1}) burst.feed(nullptr, value);
  EXPECT_THAT(burst.outputs(), SizeIs(2'000));
  EXPECT_EQ(burst.errors("size"), 1U);
  EXPECT_THAT(burst.dead_letters()[0].reason, HasSubstr("transaction_bytes_max"));
}

constexpr std::uint64_t kTransactionMax = 1 << 20;

/// Feeds records of about `bytes` each to `keys` keys in turn.
void feed_in_turn(Harness& stage, int records, int keys, std::size_t bytes) {
  const std::string value(bytes, 'v');
  for (int i = 0; i < records; ++i) stage.feed("key " + std::to_string(i % keys), value);
}

TEST(Transaction, GathersMoreOfTheInputWhereLittleStateComesOfIt) {
  Harness measures(WEIR_TEST_TYPED, "typed.measures", "{}", {.transaction_bytes_max = kTransactionMax});
  feed_in_turn(measures, 1500, 10, 1000);
  measures.run();
  EXPECT_EQ(measures.transactions(), 1U);
  EXPECT_EQ(measures.state<std::uint64_t>("key 3"), 150U * 1003) << "a string of 1,000 bytes has a head of three";
}

TEST(Transaction, ClosesWhereItHasTakenSixteenTimesItsSizeOfInput) {
  Harness measures(WEIR_TEST_TYPED, "typed.measures", "{}", {.transaction_bytes_max = kTransactionMax});
  feed_in_turn(measures, 40'000, 10, 1000);
  measures.run();
  EXPECT_THAT(measures.transactions(), AllOf(Ge(2U), Le(3U)));
}

TEST(Transaction, ClosesWhereStateOfManyKeysWouldFillIt) {
  Harness measures(WEIR_TEST_TYPED, "typed.measures", "{}", {.transaction_bytes_max = kTransactionMax});
  constexpr int kKeys = 60'000;
  feed_in_turn(measures, kKeys, kKeys, 4);
  measures.run();
  // A key has at least six bytes, and its total one: half of the size is the most.
  EXPECT_GE(measures.transactions(), std::uint64_t{kKeys} * 7 / (kTransactionMax / 2));
  EXPECT_GE(measures.transactions(), 2U);
  EXPECT_THAT(measures.states(), SizeIs(kKeys));
}

TEST(Transaction, GoesByTheInputWhereStateGrowsWithIt) {
  Harness gathers(WEIR_TEST_TYPED, "typed.gathers", "{}", {.transaction_bytes_max = kTransactionMax});
  feed_in_turn(gathers, 1500, 10, 1000);
  gathers.run();
  EXPECT_GE(gathers.transactions(), 2U) << "1.5 MB of input, of which a quarter of a MiB fills it";
  EXPECT_EQ(gathers.state<std::string>("key 3").size(), 150U * 1000);
}

TEST(Finish, IsCalledAgainForEachPortionInATransactionOfItsOwn) {
  Harness burst(WEIR_TEST_PROBE, "probe.burst");
  burst.finish();
  EXPECT_THAT(values(burst), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
  EXPECT_EQ(burst.transactions(), 10U);
  EXPECT_TRUE(burst.finished());
}

TEST(Finish, LeavesNothingBehindAndIsNotRepeatedByARestart) {
  Harness total(WEIR_TEST_TYPED, "typed.total", "{}", {.shards = 4});
  for (const char* key : {"a", "b", "c"}) total.feed(key, 2);
  total.run();
  total.forget_outputs();
  total.finish();
  EXPECT_THAT(values(total), ElementsAre(2, 2, 2));
  EXPECT_THAT(total.states(), IsEmpty());
  total.restart();
  total.finish();
  EXPECT_THAT(total.outputs(), SizeIs(3));
}

TEST(Watermark, ComesToEveryShardOnce) {
  Harness clock(WEIR_TEST_PROBE, "probe.clock", "{}", {.shards = 2});
  clock.advance(500);
  clock.advance(500);
  clock.restart();
  clock.advance(400);
  const auto outputs = clock.outputs();
  ASSERT_THAT(outputs, SizeIs(2));
  EXPECT_EQ(outputs[0].timestamp, 500);
  EXPECT_EQ(outputs[0].value<int>(), 0);
  EXPECT_EQ(outputs[1].value<int>(), 1);
}

TEST(Source, GoesOnBehindTheLastRecordThatCounts) {
  Harness numbers(WEIR_TEST_PROBE, "probe.numbers");
  numbers.crash();
  numbers.run();
  EXPECT_THAT(values(numbers), ElementsAre(0, 1, 2, 0, 1, 2));
  EXPECT_TRUE(numbers.finished());
  const auto splits = numbers.splits();
  ASSERT_THAT(splits, SizeIs(2));
  EXPECT_EQ(splits[0].id, "a");
  EXPECT_TRUE(splits[1].ended);
  numbers.restart();
  EXPECT_THAT(numbers.outputs(), SizeIs(6));
}

TEST(Source, NamesEachSplitOnceHoweverOftenItIsAsked) {
  Harness numbers(WEIR_TEST_PROBE, "probe.numbers", R"({"follow": true})");
  numbers.run();
  const std::uint64_t transactions = numbers.transactions();
  numbers.run();
  numbers.run();
  EXPECT_EQ(numbers.transactions(), transactions);
  EXPECT_THAT(numbers.splits(), SizeIs(2));
  EXPECT_FALSE(numbers.finished());
  numbers.restart();
  EXPECT_THAT(numbers.splits(), SizeIs(2));
  EXPECT_THAT(numbers.outputs(), SizeIs(6));
}

TEST(Source, MakesNoTransactionWhereItHasNothingToSay) {
  Harness waits(WEIR_TEST_TYPED, "typed.waits");
  waits.run();
  EXPECT_THAT(values(waits), ElementsAre(0, 1, 2));
  const std::uint64_t transactions = waits.transactions();
  for (int i = 0; i < 5; ++i) waits.run();
  EXPECT_EQ(waits.transactions(), transactions) << "each takes a block of the journal";
}

TEST(Sink, FlushesBeforeItsRecordsCountAndGoesBackToTheCommittedPosition) {
  Harness ledger(WEIR_TEST_PROBE, "probe.ledger", "{}", {.shards = 3});
  for (const char* key : {"a", "b", "c", "d"}) ledger.feed(key, 1);
  EXPECT_EQ(ledger.position().as<int>(), 4);
  ledger.feed("a", 1);
  ledger.crash();
  EXPECT_EQ(ledger.position().as<int>(), 5);
  ledger.feed("a", 13);
  EXPECT_THAT(ledger.dead_letters(), SizeIs(1));
  EXPECT_EQ(ledger.position().as<int>(), 5);
}

TEST(Sink, WaitsForATargetThatIsAnothersStill) {
  Harness busy(WEIR_TEST_PROBE, "probe.busy", "5");
  busy.feed("a", 1);
  EXPECT_EQ(busy.position().as<int>(), 1);
  Harness always(WEIR_TEST_PROBE, "probe.busy", "1000000");
  EXPECT_THAT(failure_of([&] { always.run(); }), HasSubstr("the target is another's"));
}

TEST(StageUnderTest, SaysWhyItCannotStart) {
  EXPECT_THAT(failure_of([] { Harness(WEIR_TEST_PROBE, "probe.twice", R"({"refuse": 1})"); }),
              HasSubstr("the configuration asks for refusal"));
  EXPECT_THAT(failure_of([] { Harness(WEIR_TEST_TYPED, "typed.throws"); }), HasSubstr("never in the mood"));
  EXPECT_THAT(failure_of([] { Harness(WEIR_TEST_PROBE, "probe.nothing"); }), HasSubstr("probe.nothing"));
  EXPECT_THAT(failure_of([] { Harness("/nowhere.so", "x"); }), HasSubstr("/nowhere.so"));
}

}  // namespace
}  // namespace weir::testing
