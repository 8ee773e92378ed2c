// SPDX-License-Identifier: Apache-2.0
// Hot keys that are split, by the worker's own code: what is fed as hot is processed away from its key's state.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "weir/testing.h"

namespace weir::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Options split(std::uint32_t shards = 4) {
  Options options;
  options.shards = shards;
  options.hot_keys = true;
  return options;
}

struct Result {
  double value = 0;
  std::int64_t timestamp = 0;
  friend bool operator==(const Result&, const Result&) = default;
  friend void PrintTo(const Result& result, std::ostream* out) { *out << result.value << " at " << result.timestamp; }
};

std::map<std::string, Result> last_of(Harness& stage) {
  std::map<std::string, Result> last;
  for (const Output& output : stage.outputs())
    last[output.key<std::string>()] = {output.value<double>(), output.timestamp};
  return last;
}

/// The same records, at random as hot or not, in transactions of random length, over crashes and restarts.
class Merged : public ::testing::TestWithParam<std::pair<const char*, const char*>> {
 protected:
  struct Fed {
    std::string key;
    int value = 0;
    std::int64_t timestamp = 0;
  };

  static std::vector<Fed> records() {
    std::mt19937 random(5);
    std::vector<Fed> records;
    for (int i = 0; i < 3000; ++i) {
      records.push_back({"key" + std::to_string(random() % 7), static_cast<int>(random() % 2001) - 1000,
                         static_cast<std::int64_t>(random() % 100'000)});
    }
    return records;
  }

  static std::string config(const std::string& emit) {
    const std::string more = GetParam().second;
    return "{" + more + (more.empty() ? "" : ", ") + R"("emit": ")" + emit + "\"}";
  }

  static std::map<std::string, Result> with(const Options& options, const std::string& emit) {
    Harness stage(LIBRARY, GetParam().first, config(emit), options);
    std::mt19937 random(6);
    for (const Fed& fed : records()) {
      if (options.hot_keys && random() % 3 != 0) {
        stage.feed_hot(fed.key, fed.value, fed.timestamp, static_cast<std::uint32_t>(random() % options.shards));
      } else {
        stage.feed(fed.key, fed.value, fed.timestamp);
      }
      switch (random() % 60) {
        case 0:
          stage.run();
          break;
        case 1:
          stage.crash();
          break;
        case 2:
          stage.restart();
          break;
        default:
          break;
      }
    }
    stage.run();
    stage.finish();
    EXPECT_THAT(stage.dead_letters(), IsEmpty());
    return last_of(stage);
  }
};

TEST_P(Merged, IsWhatItWouldBeInOnePiece) {
  const auto whole = with({}, "final");
  ASSERT_THAT(whole, SizeIs(7));
  const auto merged = with(split(), "final");
  ASSERT_THAT(merged, SizeIs(7));
  for (const auto& [key, result] : whole) {
    EXPECT_NEAR(merged.at(key).value, result.value, 1e-9) << key;
    EXPECT_EQ(merged.at(key).timestamp, result.timestamp) << key;
  }
}

TEST_P(Merged, IsSaidAfterEachPartAndLastInFull) {
  const auto whole = with({}, "every");
  const auto merged = with(split(), "every");
  ASSERT_EQ(merged.size(), whole.size());
  for (const auto& [key, result] : whole) EXPECT_NEAR(merged.at(key).value, result.value, 1e-9) << key;
}

INSTANTIATE_TEST_SUITE_P(All, Merged,
                         ::testing::Values(std::pair("keyed.count", ""), std::pair("keyed.sum", ""),
                                           std::pair("keyed.reduce", R"("op": "min")"),
                                           std::pair("keyed.reduce", R"("op": "max")"),
                                           std::pair("keyed.reduce", R"("op": "avg")")),
                         [](const auto& tested) {
                           std::string name = std::string(tested.param.first) + tested.param.second;
                           std::erase_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
                           return name;
                         });

TEST(HotKey, IsCountedOnceARecordAndSaidOnceAPart) {
  Harness count(LIBRARY, "keyed.count", "{}", split());
  for (std::uint32_t i = 0; i < 100; ++i) count.feed_hot("hot", 1, 1000 + i % 50, i % 4);
  count.feed("cold", 1, 7);
  count.run();
  const auto outputs = count.outputs();
  ASSERT_THAT(outputs, SizeIs(2)) << "one for all that the transaction had of it";
  const auto last = last_of(count);
  EXPECT_EQ(last.at("hot"), (Result{100, 1049})) << "at the greatest time of its records";
  EXPECT_EQ(last.at("cold"), (Result{1, 7}));
}

TEST(HotKey, LeavesNoPartOfItsStateBehindACommit) {
  Harness count(LIBRARY, "keyed.count", "{}", split());
  for (std::uint32_t round = 0; round < 10; ++round) {
    for (std::uint32_t i = 0; i < 50; ++i) count.feed_hot("hot", 1, 0, i % 4);
    count.run();
    ASSERT_THAT(count.states(), SizeIs(1));
  }
  EXPECT_EQ(last_of(count).at("hot").value, 500);
}

TEST(HotKey, BecomesADeadLetterRecordByRecordWhereItFails) {
  Harness sum(LIBRARY, "keyed.sum", "{}", split());
  for (int i = 0; i < 10; ++i) {
    if (i % 5 == 3) {
      sum.feed_hot("hot", "no number", 500 + i);
    } else {
      sum.feed_hot("hot", 1, i);
    }
  }
  sum.run();
  EXPECT_EQ(last_of(sum).at("hot"), (Result{8, 9})) << "what failed is not in it, nor is its time";
  ASSERT_THAT(sum.dead_letters(), SizeIs(2));
  EXPECT_EQ(sum.dead_letters()[0].value<std::string>(), "no number");
}

TEST(HotKey, BecomesOneDeadLetterWhereItCannotBeMerged) {
  Harness sum(LIBRARY, "keyed.sum", "{}", split());
  sum.feed("hot", INT64_MAX);
  sum.run();
  sum.feed_hot("hot", 1);
  sum.feed_hot("hot", 2);
  sum.run();
  ASSERT_THAT(sum.dead_letters(), SizeIs(1));
  EXPECT_THAT(sum.dead_letters()[0].reason, HasSubstr("does not fit 64 bits"));
  sum.feed_hot("hot", -5);
  sum.run();
  EXPECT_EQ(last_of(sum).at("hot").value, static_cast<double>(INT64_MAX - 5));
}

TEST(HotKey, IsRefusedByAStageThatCannotMerge) {
  Harness count(LIBRARY, "keyed.count", "{}");
  EXPECT_THROW(count.feed_hot("hot", 1), Failed) << "the option was not given";
}

}  // namespace
}  // namespace weir::testing
