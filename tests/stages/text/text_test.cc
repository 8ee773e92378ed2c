// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "tests/support/fake_host.h"
#include "tests/support/temporary_folder.h"

namespace weir {
namespace {

using testing::ElementsAre;
using testing_host::FakeHost;
using testing_host::Fed;
using testing_host::fed;

Fed line(const std::string& text) {
  Fed record;
  encode_text(record.value, text);
  return record;
}

/// What the shell makes of a file.
std::vector<std::string> words_by_the_shell(const std::string& path) {
  const std::string command = "LC_ALL=C; export LC_ALL; tr -cs 'A-Za-z' '\\n' < " + path + " | tr 'A-Z' 'a-z' | grep .";
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("test: no shell");
  std::vector<std::string> words;
  char word[4096];
  while (fgets(word, sizeof(word), pipe) != nullptr) words.emplace_back(word, std::strlen(word) - 1);
  pclose(pipe);
  return words;
}

TEST(TextWords, FindsTheWordsThatTheShellFinds) {
  std::mt19937 random(5);
  std::string text;
  for (int i = 0; i < 200'000; ++i) {
    text.push_back(random() % 3 == 0 ? static_cast<char>(random() % 256)
                                     : static_cast<char>("abcXYZ '\n"[random() % 9]));
  }
  std::erase(text, '\0');
  text += "the last word";
  const testing_host::TemporaryFolder folder;
  testing_host::write_file(folder / "text", text);

  for (const char* config : {"{}", R"({"pattern": "[A-Za-z]+", "lowercase": true})", R"({"pattern": "[a-zA-Z]+"})"}) {
    FakeHost host(LIBRARY, "text.words", config);
    std::istringstream lines(text);
    std::vector<Fed> records;
    for (std::string read; std::getline(lines, read);) {
      // By its own pattern RE2 reads UTF-8; the shell above reads bytes, and a letter is one in both.
      records.push_back(line(read));
    }
    host.feed(records);
    std::vector<std::string> words;
    for (const auto& output : host.outputs) {
      words.emplace_back(ValueView(testing_host::view(output.key)).as<std::string>());
      ASSERT_EQ(output.value, "\x01");
    }
    EXPECT_EQ(words, words_by_the_shell(folder / "text")) << config;
  }
}

TEST(TextWords, TakesAPatternAndTheCaseAsItIs) {
  FakeHost host(LIBRARY, "text.words", R"({"pattern": "\\w+|x*", "lowercase": false})");
  host.feed({line("Grüße, a_1!")});
  EXPECT_THAT(host.pairs(), ElementsAre("\"Gr\" 1", "\"e\" 1", "\"a_1\" 1"));
}

TEST(TextWords, RefusesABadPatternAndFailsWhatIsNoString) {
  const FakeHost bad(LIBRARY, "text.words", R"({"pattern": "("})");
  EXPECT_FALSE(bad.created());
  EXPECT_EQ(bad.sentence, "/pattern: \"(\" is no RE2 pattern: missing ): (");
  FakeHost host(LIBRARY, "text.words");
  host.feed({fed("null", "5")});
  EXPECT_THAT(host.errors, ElementsAre("value: expected a string, found the integer 5"));
}

TEST(TextJson, ParsesTheValueAndKeepsTheKey) {
  FakeHost host(LIBRARY, "text.json");
  Fed record = line(R"( {"a": [1, 2.0, null], "b": "x"} )");
  record.key = "\x07";
  record.timestamp = 12;
  host.feed({record, line("{\"a\": }"), line("")});
  EXPECT_THAT(host.pairs(), ElementsAre(R"(7 {"a":[1,2.0,null],"b":"x"})"));
  EXPECT_EQ(host.outputs[0].timestamp, 12);
  EXPECT_THAT(host.errors, ElementsAre("the value is no JSON: byte 6: no JSON value",
                                       "the value is no JSON: byte 0: the text ends where a value should stand"));
}

TEST(TextRegex, MakesAMapOfTheNamedGroups) {
  FakeHost host(LIBRARY, "text.regex",
                R"({"pattern": "^(?P<host>\\S+) (\\S+) (?P<status>\\d+)(?: (?P<size>\\d+))?$"})");
  Fed record = line("example.org - 200 17");
  record.key = "\x07";
  host.feed({record, line("example.org - 304"), line("malformed")});
  EXPECT_THAT(host.pairs(), ElementsAre(R"(7 {"host":"example.org","status":"200","size":"17"})",
                                        R"(null {"host":"example.org","status":"304","size":""})"));
  EXPECT_THAT(host.errors, ElementsAre("the pattern does not match the string \"malformed\""));
  EXPECT_FALSE(FakeHost(LIBRARY, "text.regex", R"-({"pattern": "(x)"})-").created());
}

TEST(Text, DescribesConfigurationsInJson) {
  for (const char* stage : {"text.words", "text.json", "text.regex"}) {
    const FakeHost host(LIBRARY, stage, R"-({"pattern": "(?P<a>.)"})-");
    EXPECT_EQ(nlohmann::json::parse(host.descriptor().schema)["additionalProperties"], false) << stage;
  }
}

}  // namespace
}  // namespace weir
