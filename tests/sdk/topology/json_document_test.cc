// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/json_document.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(JsonDocument, KnowsTheLineOfEveryKeyAndElement) {
  const JsonDocument document =
      parse_json("{\n  \"a\": 1,\n  \"b\": [\n    1\n,\n    2,\n    {\"c\":\n true}\n  ],\n\"d\": -1\n}");
  ASSERT_TRUE(document.root);
  EXPECT_EQ(place_of(*document.root, "").line, 1U);
  EXPECT_EQ(place_of(*document.root, "/a").line, 2U);
  EXPECT_EQ(place_of(*document.root, "/b").line, 3U);
  EXPECT_EQ(place_of(*document.root, "/b/0").line, 4U);
  EXPECT_EQ(place_of(*document.root, "/b/1").line, 6U);
  EXPECT_EQ(place_of(*document.root, "/b/2").line, 7U);
  EXPECT_EQ(place_of(*document.root, "/b/2/c").line, 7U) << "the line of the key, not of the value";
  EXPECT_EQ(place_of(*document.root, "/d").line, 10U);
  EXPECT_EQ(place_of(*document.root, "/b/2/c/far/away").line, 7U) << "the nearest ancestor that exists";
}

TEST(JsonDocument, FindsEveryDuplicateKeyAndKeepsTheFirst) {
  const JsonDocument document =
      parse_json("{\"a\": 1,\n\"a\": 2,\n\"b\": {\"c\": [{\"x/y\": 1,\n\"x/y\": []}]},\n\"a\": {}}");
  ASSERT_TRUE(document.root);
  ASSERT_EQ(document.problems.size(), 3U);
  EXPECT_EQ(document.problems[0].line, 2U);
  EXPECT_EQ(document.problems[0].pointer, "/a");
  EXPECT_EQ(document.problems[0].message, "this field stands twice in its object; the first is in line 1");
  EXPECT_EQ(document.problems[1].pointer, "/b/c/0/x~1y");
  EXPECT_EQ(document.problems[1].line, 4U);
  EXPECT_EQ(document.problems[2].line, 5U);
  EXPECT_EQ(document.root->find("a")->natural, 1U);
}

TEST(JsonDocument, WritesWhatItRead) {
  for (const char* text : {R"({"b":[1,-2,1.5,18446744073709551615,-9223372036854775808],"a":{"":null,"é":true}})", "[]",
                           "\"\\u0000\\n\"", "1e+300", "false"}) {
    const JsonDocument document = parse_json(text);
    ASSERT_TRUE(document.root) << text;
    EXPECT_EQ(to_text(*document.root), text);
  }
}

TEST(JsonDocument, RefusesWhatFollowsAZeroByte) {
  const std::string text("{}\n\0{", 5);
  const JsonDocument document = parse_json(text);
  EXPECT_FALSE(document.root);
  ASSERT_EQ(document.problems.size(), 1U);
  EXPECT_EQ(document.problems[0].line, 2U);
}

TEST(JsonDocument, LimitsNestingAndLength) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parse_json(nested(kJsonDepthMax)).root);
  EXPECT_FALSE(parse_json(nested(kJsonDepthMax + 1)).root);
  EXPECT_FALSE(parse_json(std::string(1'000'000, '[')).root);
  EXPECT_FALSE(parse_json(std::string(kJsonTextBytesMax + 1, ' ')).root);
}

TEST(JsonDocument, TakesPointersApartAndPutsThemTogether) {
  EXPECT_EQ(pointer_steps("/a~1b/m~0n//0"), (std::vector<std::string>{"a/b", "m~n", "", "0"}));
  EXPECT_EQ(pointer_steps(""), std::vector<std::string>{});
  for (const char* text : {"a", "/~", "/~2"}) EXPECT_FALSE(pointer_steps(text)) << text;
  EXPECT_EQ(pointer_to("/x", "a/b~c"), "/x/a~1b~0c");
}

// The table of well-formed and ill-formed sequences, Unicode 15, table 3-7 and its surroundings.
TEST(JsonDocument, KnowsUtf8) {
  for (const char* text :
       {"", "a", "\xC2\x80", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"})
    EXPECT_TRUE(is_utf8(text)) << text;
  for (const char* text : {"\x80", "\xC0\x80", "\xC1\xBF", "\xC2", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
                           "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", "\xFF"})
    EXPECT_FALSE(is_utf8(text));
}

}  // namespace
}  // namespace weir
