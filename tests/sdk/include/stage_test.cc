// SPDX-License-Identifier: Apache-2.0
#include "weir/stage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fake_host.h"

namespace weir {
namespace {

using testing::ElementsAre;
using testing_host::FakeHost;
using testing_host::fed;
using testing_host::json;

TEST(Library, DescribesWhatItsClassesDeclare) {
  const FakeHost sum(TEST_SINGLE_STAGE, "sum");
  EXPECT_EQ(sum.descriptor().kind, WEIR_KIND_STAGE);
  EXPECT_EQ(sum.descriptor().flags, WEIR_FLAG_KEYED | WEIR_FLAG_STATE_IN_PARTS);  // not declared: it calls state()
  EXPECT_STREQ(sum.descriptor().inputs[0], "in");
  EXPECT_EQ(sum.descriptor().inputs[1], nullptr);
  EXPECT_EQ(sum.descriptor().schema, nullptr);
  EXPECT_EQ(sum.descriptor().finish, nullptr);
  EXPECT_EQ(sum.descriptor().on_watermark, nullptr);

  const FakeHost fails(TEST_STAGES, "fails_late");
  EXPECT_EQ(fails.descriptor().flags, WEIR_FLAG_KEYED | WEIR_FLAG_STATE_IN_PARTS | WEIR_FLAG_KEY_PRESERVING);
  EXPECT_STREQ(fails.descriptor().inputs[1], "other");
  EXPECT_STREQ(fails.descriptor().outputs[1], "late");
  EXPECT_NE(fails.descriptor().finish, nullptr);

  const FakeHost total(TEST_STAGES, "total");
  EXPECT_EQ(total.descriptor().kind, WEIR_KIND_SINK);
  EXPECT_EQ(total.descriptor().sharing, WEIR_SHARING_SHARD);
  EXPECT_EQ(total.descriptor().outputs[0], nullptr);

  const FakeHost swallows(TEST_STAGES, "swallows_refusals");
  EXPECT_EQ(swallows.descriptor().flags, 0U);
  EXPECT_EQ(swallows.descriptor().state_load, nullptr);
}

TEST(Stage, KeepsATotalPerKeyAcrossInstances) {
  FakeHost first(TEST_SINGLE_STAGE, "sum");
  first.feed({fed("1", "5"), fed("2", "7"), fed("1", "6")});
  EXPECT_THAT(first.pairs(), ElementsAre("1 5", "2 7", "1 11"));
  first.commit();
  FakeHost second(TEST_SINGLE_STAGE, "sum");
  ASSERT_EQ(second.restore(first), WEIR_OK);
  second.feed({fed("1", "1"), fed("2", "1")});
  EXPECT_THAT(second.pairs(), ElementsAre("1 12", "2 8"));
}

TEST(Stage, LeavesNothingOfARecordThatFailed) {
  FakeHost host(TEST_STAGES, "fails_late");
  host.feed({fed("1", "5"), fed("1", "-1"), fed("2", "-1"), fed("1", "13"), fed("1", "6"), fed("1", "\"x\"")});
  EXPECT_THAT(host.errors, ElementsAre("negative", "negative", "the stage threw something that is no std::exception",
                                       "value: expected an integer, found the string \"x\""));
  EXPECT_THAT(host.pairs(), ElementsAre("1 [5]", "\"in\" 1", "1 [5,6]", "\"in\" 2"));
  host.commit();
  ASSERT_EQ(host.state.size(), 2U);  // nothing of key 2
  EXPECT_EQ(json((host.state.at({"", testing_host::msgpack("1")}))), "[5,6]");
  EXPECT_EQ(json((host.state.at({"count", testing_host::msgpack("1")}))), "2");
}

TEST(Stage, SaysErasureOfStateToTheWorker) {
  FakeHost host(TEST_STAGES, "fails_late");
  host.feed({fed("1", "5")});
  host.commit();
  host.feed({fed("1", "0"), fed("1", "-2")});
  host.commit();
  EXPECT_FALSE(host.state.contains({"", testing_host::msgpack("1")}));
  EXPECT_TRUE(host.state.contains({"count", testing_host::msgpack("1")}));
}

TEST(Stage, PassesTimestampsAndHeadersOnUnlessGiven) {
  FakeHost host(TEST_STAGES, "fails_late");
  testing_host::Fed record = fed("1", "5", 42);
  record.headers = testing_host::msgpack(R"({"trace": "x"})");
  host.feed({record, fed("1", "6", 43)}, /*port=*/1);
  ASSERT_EQ(host.outputs.size(), 4U);
  EXPECT_EQ(host.outputs[0].timestamp, 42);
  EXPECT_EQ(json(host.outputs[0].headers), R"({"trace":"x"})");
  EXPECT_EQ(host.outputs[1].port, 1U);
  EXPECT_EQ(host.outputs[1].timestamp, 99);
  EXPECT_EQ(json(host.outputs[1].headers), R"({"by":"test"})");
  EXPECT_EQ(json(host.outputs[1].key), "\"other\"");
  EXPECT_EQ(host.outputs[2].headers, "");
}

TEST(Stage, ReturnsBehindTheRecordAtWhichTheTransactionIsFull) {
  FakeHost host(TEST_SINGLE_STAGE, "sum");
  host.transaction_outputs = 1;  // feed() checks the progress of each call
  std::vector<testing_host::Fed> records;
  std::vector<std::string> expected;
  for (int i = 1; i <= 50; ++i) {
    records.push_back(fed("1", "1"));
    expected.push_back("1 " + std::to_string(i));
  }
  host.feed(records);
  EXPECT_EQ(host.pairs(), expected);
}

TEST(Stage, WorksFinishOffInPortions) {
  FakeHost host(TEST_STAGES, "fails_late");
  std::vector<testing_host::Fed> records;
  for (int i = 1; i <= 100; ++i) records.push_back(fed(std::to_string(i), "1"));
  host.feed(records);
  host.commit();
  host.outputs.clear();
  host.transaction_outputs = 7;
  EXPECT_EQ(host.finish(), 15);
  EXPECT_EQ(host.outputs.size(), 100U);
  EXPECT_EQ(host.sorted_pairs().count("42 1"), 1U);
  for (const auto& [place, value] : host.state) EXPECT_EQ(place.first, "");
}

TEST(Stage, FailsARecordWhoseEmitWasRefusedEvenIfItLooksAway) {
  FakeHost host(TEST_STAGES, "swallows_refusals");
  host.outputs_max = 1;
  host.feed({fed("null", "1"), fed("null", "2")});
  EXPECT_THAT(host.pairs(), ElementsAre("null 1"));
  EXPECT_THAT(host.errors, ElementsAre("refused by the host"));
}

TEST(Stage, EndsTheWorkerWhereItKeepsStateThoughItSaidItWouldNot) {
  FakeHost host(TEST_STAGES, "keeps_state_undeclared");
  EXPECT_EQ(host.feed({fed("1", "1")}), WEIR_FATAL);
  EXPECT_THAT(host.sentence, testing::HasSubstr("kKeyed = false"));
  EXPECT_THROW(host.finish(), std::runtime_error);
  EXPECT_EQ(host.sentence, "emit outside process needs a timestamp: out.emit(key, value, {.timestamp = t})");
}

TEST(Stage, RefusesAConfigurationWithTheSentenceOfItsConstructor) {
  const FakeHost host(TEST_STAGES, "refuses_its_config", R"({"size": 0})");
  EXPECT_FALSE(host.created());
  EXPECT_EQ(host.sentence, "/size: must be above 0");
}

TEST(Source, GoesOnFromItsPosition) {
  FakeHost host(TEST_STAGES, "countdown", R"({"from": 10})");
  ASSERT_THAT(host.splits(), ElementsAre("all"));
  weir_split split{"all", ""};
  host.transaction_outputs = 3;
  EXPECT_EQ(host.read(split), WEIR_MORE);
  EXPECT_THAT(host.pairs(), ElementsAre("null 10", "null 9", "null 8"));
  FakeHost next(TEST_STAGES, "countdown", R"({"from": 10})");
  EXPECT_EQ(next.read_all(split), WEIR_END);
  EXPECT_EQ(next.outputs.size(), 7U);
}

TEST(Sink, CommitsItsPositionAndEndsTheWorkerWhereItCannotFlush) {
  FakeHost host(TEST_STAGES, "total");
  ASSERT_EQ(host.open(""), WEIR_OK);
  host.feed({fed("1", "40"), fed("1", "2")});
  const std::string position = host.flush();
  EXPECT_EQ(json(position), "42");
  FakeHost next(TEST_STAGES, "total");
  ASSERT_EQ(next.open(position), WEIR_OK);
  next.feed({fed("1", "\"x\""), fed("1", "100")});
  EXPECT_THAT(next.errors, ElementsAre("value: expected an integer, found the string \"x\""));
  EXPECT_THROW(next.flush(), std::runtime_error);
  EXPECT_EQ(next.sentence, "too much");
}

}  // namespace
}  // namespace weir
