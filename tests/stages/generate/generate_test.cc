// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stages/generate/pace.h"
#include "tests/support/fake_host.h"

namespace weir {
namespace {

using testing::ElementsAre;
using testing_host::FakeHost;

std::vector<std::string> all_of(const char* stage, const std::string& config) {
  FakeHost host(LIBRARY, stage, config);
  if (!host.created()) throw std::runtime_error(host.sentence);
  weir_split split{host.splits().at(0), ""};
  host.read_all(split);
  return host.pairs();
}

TEST(GenerateSequence, CountsFromItsFirstToItsLast) {
  EXPECT_THAT(all_of("generate.sequence", R"({"from": 1, "to": 4})"), ElementsAre("1 1", "2 2", "3 3", "4 4"));
  EXPECT_THAT(all_of("generate.sequence", R"({"from": 5, "to": -5, "step": -4})"), ElementsAre("5 5", "1 1", "-3 -3"));
  EXPECT_THAT(all_of("generate.sequence", R"({"from": -2, "to": 2, "key_modulo": 3})"),
              ElementsAre("1 -2", "2 -1", "0 0", "1 1", "2 2"));
  EXPECT_THAT(all_of("generate.sequence", R"({"from": 1, "to": 0})"), ElementsAre());
  EXPECT_THAT(all_of("generate.sequence", R"({"from": 9223372036854775806})"),
              ElementsAre("9223372036854775806 9223372036854775806", "9223372036854775807 9223372036854775807"));
  EXPECT_EQ(all_of("generate.sequence", R"({"to": 99999})").size(), 100'000U);
}

TEST(GenerateSequence, GivesEachItsTimestampAndSaysHowFarTimeHasCome) {
  FakeHost host(LIBRARY, "generate.sequence", R"({"to": 3, "start": 1000000, "interval": "10ms"})");
  weir_split split{"sequence", ""};
  EXPECT_EQ(host.read_all(split), WEIR_END);
  EXPECT_EQ(host.outputs[0].timestamp, 1'000'000);
  EXPECT_EQ(host.outputs[3].timestamp, 1'030'000);
  EXPECT_EQ(host.watermarks.back(), 1'030'000);
}

TEST(GenerateSequence, GoesOnWhereItsPositionSays) {
  weir_split split{"sequence", ""};
  std::vector<std::string> said;
  int answer = WEIR_MORE;
  for (int lives = 0; answer != WEIR_END; ++lives) {
    ASSERT_LT(lives, 20);
    FakeHost host(LIBRARY, "generate.sequence", R"({"from": 1, "to": 25})");
    host.transaction_outputs = 3;
    answer = host.read(split);
    for (const auto& pair : host.pairs()) said.push_back(pair);
  }
  ASSERT_EQ(said.size(), 25U);
  for (std::size_t i = 0; i < said.size(); ++i) EXPECT_EQ(said[i], std::to_string(i + 1) + " " + std::to_string(i + 1));
}

TEST(GenerateSequence, EmitsNothingBeforeItIsDue) {
  FakeHost host(LIBRARY, "generate.sequence", R"({"rate": 0.001})");
  weir_split split{"sequence", ""};
  EXPECT_EQ(host.read(split), WEIR_MORE);  // the first at once
  EXPECT_EQ(host.read(split), WEIR_EMPTY);
  EXPECT_THAT(host.pairs(), ElementsAre("0 0"));
}

TEST(Pace, KeepsTheRateAndCatchesUpWithASecondAtMost) {
  const auto start = generate::Pace::Time() + std::chrono::hours(1);
  generate::Pace pace(std::optional<double>(1000));
  EXPECT_EQ(pace.due(start), 1U);
  pace.emitted(1);
  EXPECT_EQ(pace.due(start), 0U);
  EXPECT_EQ(pace.due(start + std::chrono::milliseconds(500)), 500U);
  pace.emitted(500);
  std::uint64_t emitted = 501;
  for (int ms = 500; ms <= 10'000; ++ms) {
    const std::uint64_t due = pace.due(start + std::chrono::milliseconds(ms));
    pace.emitted(due);
    emitted += due;
  }
  EXPECT_EQ(emitted, 10'001U);
  EXPECT_EQ(pace.due(start + std::chrono::hours(1)), 1000U);
}

TEST(GenerateValues, EmitsTheListAsOftenAsAsked) {
  EXPECT_THAT(all_of("generate.values", R"({"values": [1, "x", {"a": null}], "repeat": 2})"),
              ElementsAre("null 1", "null \"x\"", "null {\"a\":null}", "null 1", "null \"x\"", "null {\"a\":null}"));
  EXPECT_THAT(all_of("generate.values", R"({"records": [{"key": "k", "value": 1}, {"value": 2}]})"),
              ElementsAre("\"k\" 1", "null 2"));
}

TEST(GenerateValues, PromisesNoTimeThatALaterRecordBreaks) {
  FakeHost host(
      LIBRARY, "generate.values",
      R"({"records": [{"value": 1, "timestamp": 50}, {"value": 2, "timestamp": 20}, {"value": 3, "timestamp": 70}],
                    "repeat": 2})");
  weir_split split{"values", ""};
  host.transaction_outputs = 1;
  std::size_t said = 0;
  for (int answer = WEIR_MORE; answer == WEIR_MORE; said = host.outputs.size()) {
    const std::int64_t promised = host.watermarks.empty() ? INT64_MIN : host.watermarks.back();
    answer = host.read(split);
    for (std::size_t i = said; i < host.outputs.size(); ++i) EXPECT_GT(host.outputs[i].timestamp, promised);
  }
  EXPECT_EQ(host.outputs.size(), 6U);
  EXPECT_EQ(host.outputs[1].timestamp, 20);
  EXPECT_EQ(host.watermarks.back(), 69);
}

TEST(GenerateValues, NeverEndsIfRepeatedEndlessly) {
  FakeHost host(LIBRARY, "generate.values", R"({"values": [1, 2], "repeat": 0})");
  weir_split split{"values", ""};
  for (int i = 0; i < 10; ++i) EXPECT_EQ(host.read(split), WEIR_MORE);
  EXPECT_EQ(host.outputs[3].timestamp, 3000);
}

}  // namespace
}  // namespace weir
