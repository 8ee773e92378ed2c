// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/support/fake_host.h"

namespace weir {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;
using testing_host::FakeHost;
using testing_host::Fed;
using testing_host::fed;

TEST(KeyedCount, CountsEveryKeyAcrossRestarts) {
  std::mt19937 random(17);
  std::map<std::string, int> expected;
  std::vector<std::string> expected_pairs;
  auto host = std::make_unique<FakeHost>(LIBRARY, "keyed.count");
  for (int round = 0; round < 20; ++round) {
    std::vector<Fed> records;
    expected_pairs.clear();
    for (int i = 0; i < 500; ++i) {
      const std::string key = std::to_string(random() % 50);
      records.push_back(fed(key, "\"anything\""));
      expected_pairs.push_back(key + " " + std::to_string(++expected[key]));
    }
    host->outputs.clear();
    host->feed(records);
    ASSERT_EQ(host->pairs(), expected_pairs);
    host->commit();
    auto next = std::make_unique<FakeHost>(LIBRARY, "keyed.count");
    ASSERT_EQ(next->restore(*host), WEIR_OK);
    host = std::move(next);
  }
}

TEST(KeyedCount, SaysNothingBeforeTheEndIfFinalAndThenEachKeyOnce) {
  FakeHost first(LIBRARY, "keyed.count", R"({"emit": "final"})");
  first.feed({fed("\"a\"", "1", 30), fed("\"b\"", "1", 20), fed("\"a\"", "1", 10)});
  EXPECT_TRUE(first.outputs.empty());
  first.commit();
  FakeHost host(LIBRARY, "keyed.count", R"({"emit": "final"})");
  ASSERT_EQ(host.restore(first), WEIR_OK);
  host.transaction_outputs = 1;
  host.finish();
  EXPECT_THAT(host.pairs(), UnorderedElementsAre("\"a\" 2", "\"b\" 1"));
  for (const auto& output : host.outputs)
    EXPECT_EQ(output.timestamp, testing_host::json(output.key) == "\"a\"" ? 30 : 20);
  EXPECT_TRUE(host.state.empty());
}

TEST(KeyedSum, IsAnIntegerUntilTheFirstFloat) {
  FakeHost host(LIBRARY, "keyed.sum");
  host.feed({fed("1", "1"), fed("1", "-3"), fed("1", "0.5"), fed("1", "2"), fed("2", "7")});
  EXPECT_THAT(host.pairs(), ElementsAre("1 1", "1 -2", "1 -1.5", "1 0.5", "2 7"));
  host.commit();
  FakeHost next(LIBRARY, "keyed.sum");
  ASSERT_EQ(next.restore(host), WEIR_OK);
  next.feed({fed("1", "1"), fed("2", "1")});
  EXPECT_THAT(next.pairs(), ElementsAre("1 1.5", "2 8"));
}

TEST(KeyedSum, StaysAFloatWhereItHasNoFraction) {
  FakeHost host(LIBRARY, "keyed.sum");
  host.feed({fed("1", "1.5"), fed("1", "0.5")});
  EXPECT_THAT(host.pairs(), ElementsAre("1 1.5", "1 2.0"));
  host.commit();
  FakeHost next(LIBRARY, "keyed.sum");
  ASSERT_EQ(next.restore(host), WEIR_OK);
  next.feed({fed("1", "1")});
  EXPECT_THAT(next.pairs(), ElementsAre("1 3.0"));
}

TEST(KeyedSum, FailsTheRecordThatOverflowsOrIsNoNumberAndKeepsTheSum) {
  FakeHost host(LIBRARY, "keyed.sum");
  host.feed({fed("1", "9223372036854775807"), fed("1", "1"), fed("1", "\"x\""), fed("1", "18446744073709551615"),
             fed("1", "-1"), fed("1", "null")});
  EXPECT_THAT(host.pairs(), ElementsAre("1 9223372036854775807", "1 9223372036854775806"));
  EXPECT_THAT(host.errors, ElementsAre("the sum does not fit 64 bits: 9223372036854775807 and 1",
                                       "the value: expected a number, found the string \"x\"",
                                       "the integer 18446744073709551615 does not fit signed 64 bits",
                                       "the value: expected a number, found nil"));
}

TEST(KeyedSum, FailsTheRecordWithWhichFloatsOverflow) {
  FakeHost host(LIBRARY, "keyed.sum");
  host.feed({fed("1", "1.7e308"), fed("1", "1.7e308"), fed("1", "-1.7e308")});
  EXPECT_THAT(host.pairs(), ElementsAre("1 1.7e+308", "1 0.0"));
  EXPECT_THAT(host.errors, ElementsAre("the sum is beyond the largest float"));
}

TEST(KeyedSum, TakesAField) {
  FakeHost host(LIBRARY, "keyed.sum", R"({"field": "/order/price", "emit": "final"})");
  host.feed({fed("1", R"({"order": {"price": 2.5}})", 5), fed("1", R"({"order": {"price": 2}})", 9),
             fed("1", R"({"order": {}})", 99)});
  EXPECT_THAT(host.errors, ElementsAre("the field \"/order/price\" is missing"));
  host.finish();
  EXPECT_THAT(host.pairs(), ElementsAre("1 4.5"));
  EXPECT_EQ(host.outputs[0].timestamp, 9);  // the record that failed does not count
}

TEST(KeyedReduce, KeepsLeastGreatestMeanAndLast) {
  const std::vector<Fed> records = {fed("1", "3"), fed("1", "2.5"), fed("1", "7"), fed("1", "-1")};
  const auto results = [&](const std::string& op) {
    FakeHost host(LIBRARY, "keyed.reduce", R"({"op": ")" + op + R"("})");
    host.feed({records.begin(), records.begin() + 2});
    host.commit();
    FakeHost next(LIBRARY, "keyed.reduce", R"({"op": ")" + op + R"("})");
    next.restore(host);
    next.outputs = host.outputs;
    next.feed({records.begin() + 2, records.end()});
    return next.pairs();
  };
  EXPECT_THAT(results("min"), ElementsAre("1 3", "1 2.5", "1 2.5", "1 -1"));
  EXPECT_THAT(results("max"), ElementsAre("1 3", "1 3", "1 7", "1 7"));
  EXPECT_THAT(results("avg"), ElementsAre("1 3.0", "1 2.75", "1 4.166666666666667", "1 2.875"));
  EXPECT_THAT(results("last"), ElementsAre("1 3", "1 2.5", "1 7", "1 -1"));
}

TEST(KeyedReduce, ComparesStringsWithStringsAndRefusesMixtures) {
  FakeHost host(LIBRARY, "keyed.reduce", R"({"op": "max", "field": "/v"})");
  host.feed({fed("1", R"({"v": "b"})"), fed("1", R"({"v": "abc"})"), fed("1", R"({"v": 5})"), fed("1", R"({"v": [1]})"),
             fed("1", "{}"), fed("1", R"({"v": "c"})")});
  EXPECT_THAT(host.pairs(), ElementsAre("1 \"b\"", "1 \"b\"", "1 \"c\""));
  EXPECT_THAT(host.errors,
              ElementsAre("the integer 5 cannot be compared with the string \"b\"",
                          "expected a number or a string, found a list of 1", "the field \"/v\" is missing"));
}

TEST(KeyedReduce, TakesAnythingAsLast) {
  FakeHost host(LIBRARY, "keyed.reduce", R"({"op": "last", "emit": "final"})");
  host.feed({fed("[1,2]", "{\"a\": 1}", 5), fed("[1,2]", "null", 3)});
  host.finish();
  EXPECT_THAT(host.pairs(), ElementsAre("[1,2] null"));
  EXPECT_EQ(host.outputs[0].timestamp, 5);
}

TEST(Keyed, KeepsTheShardsOfAnInstanceApart) {
  FakeHost host(LIBRARY, "keyed.count");
  host.feed({fed("1", "1")});
  host.context().shard = 1;
  host.feed({fed("1", "1"), fed("1", "1")});
  EXPECT_THAT(host.pairs(), ElementsAre("1 1", "1 1", "1 2"));
  host.drop(1);
  host.feed({fed("1", "1")});
  host.context().shard = 0;
  host.feed({fed("1", "1")});
  EXPECT_EQ(host.pairs().at(3), "1 1");
  EXPECT_EQ(host.pairs().at(4), "1 2");
}

}  // namespace
}  // namespace weir
