// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/support/temporary_folder.h"
#include "weir/testing.h"

namespace {

using ::testing::ElementsAre;
using weir::testing::Harness;
using weir::testing_host::read_file;
using weir::testing_host::TemporaryFolder;
using weir::testing_host::write_file;

/// Keys and values of what a stage emitted.
template <typename Key, typename Value>
std::vector<std::pair<Key, Value>> pairs(Harness& stage) {
  std::vector<std::pair<Key, Value>> list;
  for (const auto& output : stage.outputs()) list.emplace_back(output.key<Key>(), output.value<Value>());
  return list;
}

template <typename Value>
std::vector<Value> values(Harness& stage) {
  std::vector<Value> list;
  for (const auto& output : stage.outputs()) list.push_back(output.value<Value>());
  return list;
}

TEST(Standard, CountsExactlyAcrossCrashesAndRestarts) {
  Harness count(KEYED, "keyed.count", R"({"emit": "final"})", {.shards = 8});
  std::map<std::string, int> expected;
  for (int i = 0; i < 3000; ++i) {
    const std::string word = "word " + std::to_string(i % 17 * (i % 5));
    count.feed(word, 1, i);
    ++expected[word];
    if (i % 500 == 250) count.crash();
    if (i % 500 == 400) count.restart();
  }
  EXPECT_TRUE(count.outputs().empty());
  count.finish();
  std::map<std::string, int> counted;
  for (const auto& [word, number] : pairs<std::string, int>(count)) {
    EXPECT_TRUE(counted.emplace(word, number).second) << word << " came twice";
  }
  EXPECT_EQ(counted, expected);
  EXPECT_TRUE(count.finished());
  EXPECT_TRUE(count.states().empty());
}

TEST(Standard, KeepsTheSumAsItWasWhereARecordOverflows) {
  Harness sum(KEYED, "keyed.sum");
  sum.feed("a", INT64_MAX);
  sum.feed("a", 1);
  sum.feed("a", "x");
  sum.feed("a", -1);
  EXPECT_THAT(values<std::int64_t>(sum), ElementsAre(INT64_MAX, INT64_MAX - 1));
  const auto letters = sum.dead_letters();
  ASSERT_EQ(letters.size(), 2U);
  EXPECT_EQ(letters[0].reason, "the sum does not fit 64 bits: 9223372036854775807 and 1");
  EXPECT_EQ(letters[1].reason, "the value: expected a number, found the string \"x\"");
}

TEST(Standard, ReducesAcrossARestart) {
  Harness least(KEYED, "keyed.reduce", R"({"op": "min"})");
  least.feed("a", 3);
  least.feed("a", 2.5);
  least.restart();
  least.feed("a", 7);
  least.feed("a", -1);
  EXPECT_THAT(values<double>(least), ElementsAre(3, 2.5, 2.5, -1));
}

TEST(Standard, TakesTextApart) {
  Harness words(TEXT, "text.words");
  words.feed(nullptr, "To be, or not to be", 7);
  std::vector<std::string> found;
  for (const auto& [word, count] : pairs<std::string, int>(words)) found.push_back(word + " " + std::to_string(count));
  EXPECT_THAT(found, ElementsAre("to 1", "be 1", "or 1", "not 1", "to 1", "be 1"));
  EXPECT_EQ(words.outputs()[0].timestamp, 7);

  Harness parse(TEXT, "text.json");
  parse.feed(1, R"({"a": [1, 2]})");
  parse.feed(1, "{");
  using Lists = std::map<std::string, std::vector<int>>;
  EXPECT_THAT(values<Lists>(parse), ElementsAre(Lists{{"a", {1, 2}}}));
  EXPECT_EQ(parse.dead_letters().size(), 1U);

  Harness groups(TEXT, "text.regex", R"-({"pattern": "^(?P<word>\\w+) (?P<number>\\d+)$"})-");
  groups.feed(1, "seven 7");
  groups.feed(1, "seven");
  using Groups = std::map<std::string, std::string>;
  EXPECT_THAT(values<Groups>(groups), ElementsAre(Groups{{"word", "seven"}, {"number", "7"}}));
  EXPECT_EQ(groups.dead_letters().size(), 1U);
}

TEST(Standard, SelectsAndFilters) {
  using Fields = std::map<std::string, int>;
  Harness select(SELECT, "select", R"({"fields": {"x": "/a"}})");
  select.feed("k", Fields{{"a", 1}, {"b", 2}});
  EXPECT_THAT(values<Fields>(select), ElementsAre(Fields{{"x", 1}}));
  Harness filter(SELECT, "filter", R"({"where": {"field": "/a", "op": ">", "value": 1}})");
  for (int a = 0; a < 4; ++a) filter.feed("k", Fields{{"a", a}});
  EXPECT_THAT(values<Fields>(filter), ElementsAre(Fields{{"a", 2}}, Fields{{"a", 3}}));
}

TEST(Standard, GeneratesEachNumberOnceAcrossCrashes) {
  Harness numbers(GENERATE, "generate.sequence", R"({"from": 1, "to": 200000})");
  numbers.crash();
  numbers.run();
  const auto emitted = values<int>(numbers);
  ASSERT_EQ(emitted.size(), 200'000U);
  for (int i = 0; i < 200'000; ++i) ASSERT_EQ(emitted[static_cast<std::size_t>(i)], i + 1);
  EXPECT_TRUE(numbers.finished());
}

TEST(Standard, GeneratesAListedRecordAsItStands) {
  Harness listed(GENERATE, "generate.values", R"({"records": [{"key": "k", "value": [1], "timestamp": 5}]})");
  listed.run();
  ASSERT_EQ(listed.outputs().size(), 1U);
  EXPECT_EQ(listed.outputs()[0].key<std::string>(), "k");
  EXPECT_EQ(listed.outputs()[0].value<std::vector<int>>(), std::vector<int>{1});
  EXPECT_EQ(listed.outputs()[0].timestamp, 5);
}

TEST(Standard, ReadsEveryLineOnceAcrossCrashes) {
  const TemporaryFolder folder;
  std::vector<std::string> expected;
  for (const char* name : {"a", "b"}) {
    std::string text;
    for (int i = 0; i < 50'000; ++i) {
      expected.push_back(std::string(name) + std::to_string(i));
      text += expected.back() + "\n";
    }
    write_file(folder / name, text);
  }
  Harness lines(FILE_STAGES, "file.lines", "{\"path\": \"" + folder / "*" + "\"}");
  lines.crash();
  lines.run();
  auto read = values<std::string>(lines);
  std::sort(read.begin(), read.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(read, expected);
  EXPECT_TRUE(lines.finished());
}

TEST(Standard, CountsALineThatIsTooLongAndEndsWithoutAFile) {
  const TemporaryFolder folder;
  write_file(folder / "a", "short\n" + std::string(100, 'x') + "\nend\n");
  Harness lines(FILE_STAGES, "file.lines", "{\"path\": \"" + folder / "a" + "\", \"line_bytes_max\": \"10B\"}");
  lines.run();
  EXPECT_THAT(values<std::string>(lines), ElementsAre("short", "end"));
  EXPECT_EQ(lines.dropped("line_too_long"), 1U);
  Harness none(FILE_STAGES, "file.lines", "{\"path\": \"" + folder / "absent" + "\"}");
  EXPECT_THROW(none.run(), weir::testing::Failed);
}

TEST(Standard, WritesEachRecordOnceAcrossCrashes) {
  const TemporaryFolder folder;
  Harness write(FILE_STAGES, "file.write", "{\"path\": \"" + folder / "out/file.jsonl" + "\"}");
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    write.feed("k", i, 5);
    expected.append("{\"key\":\"k\",\"value\":").append(std::to_string(i)).append(",\"timestamp\":5}\n");
    if (i % 100 == 50) write.crash();
    if (i % 100 == 80) write.restart();
  }
  write.run();
  EXPECT_EQ(read_file(folder / "out/file.jsonl"), expected);
  EXPECT_EQ(write.position().as<std::uint64_t>(), expected.size());
}

}  // namespace
