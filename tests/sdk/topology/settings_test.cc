// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/settings.h"

#include <gtest/gtest.h>

#include "tests/sdk/topology/standard_plugins.h"

namespace weir {
namespace {

/// `text` after one setting, or the first problem.
std::string after(std::string_view text, const std::string& pointer, const std::string& value) {
  JsonNode root = *parse_json(text).root;
  const std::vector<Diagnostic> problems = apply_settings(root, {{pointer, value}});
  return problems.empty() ? to_text(root) : to_text(problems.front());
}

TEST(Settings, SplitAtTheFirstEqualsSign) {
  const Result<Setting> setting = parse_setting("/a/b=x=y");
  ASSERT_TRUE(setting);
  EXPECT_EQ(setting->pointer, "/a/b");
  EXPECT_EQ(setting->value, "x=y");
  for (const char* wrong : {"/a", "a=1", "=1", "/~x=1"}) EXPECT_FALSE(parse_setting(wrong)) << wrong;
}

TEST(Settings, AreJsonWhereTheyParseAndStringsOtherwise) {
  EXPECT_EQ(after(R"({"a":1})", "/a", "2"), R"({"a":2})");
  EXPECT_EQ(after(R"({"a":1})", "/a", "[1,{\"b\":null}]"), R"({"a":[1,{"b":null}]})");
  EXPECT_EQ(after(R"({"a":1})", "/a", "50ms"), R"({"a":"50ms"})");
  EXPECT_EQ(after(R"({"a":1})", "/a", "\"2\""), R"({"a":"2"})");
  EXPECT_EQ(after(R"({"a":1})", "/a", ""), R"({"a":""})");
}

TEST(Settings, CreateWhatIsNotThere) {
  EXPECT_EQ(after("{}", "/a/b/c", "1"), R"({"a":{"b":{"c":1}}})");
  EXPECT_EQ(after(R"({"a":null})", "/a/b", "1"), R"({"a":{"b":1}})");
  EXPECT_EQ(after(R"({"a":[1]})", "/a/0", "2"), R"({"a":[2]})");
  EXPECT_EQ(after(R"({"a":[1]})", "/a/1", "2"), R"({"a":[1,2]})");
  EXPECT_EQ(after(R"({"a":[1]})", "/a/-", "2"), R"({"a":[1,2]})");
}

TEST(Settings, SayWhatCannotBeSet) {
  EXPECT_EQ(after(R"({"a":[1]})", "/a/3", "2"), "--set:1: /a/3: \"3\" is no index into a list of 1; the next is 1");
  EXPECT_EQ(after(R"({"a":"x"})", "/a/b", "2"),
            "--set:1: /a/b: a string stands where an object would have to hold \"b\"");
  EXPECT_EQ(after("{}", "a", "2"),
            "--set:1: a: this is no JSON Pointer to a field; write one like /stages/count/workers");
  EXPECT_EQ(after("{}", "", "2"), "--set:1: this is no JSON Pointer to a field; write one like /stages/count/workers");
  EXPECT_EQ(after("{}", "/a", "\xFF"), "--set:1: /a: the value is no UTF-8");
}

TEST(Settings, OverrideTheFileAndTheirErrorsNameThem) {
  constexpr std::string_view kFile = R"({"name": "t", "streams": {"s": {}}, "stages": {
    "n": {"plugin": "generate.sequence", "output": "s", "config": {"to": 3}}, "p": {"plugin": "console.print", "input": "s"}}})";
  const Loaded loaded =
      load(kFile, {{"/stages/p/workers", "2"}, {"/streams/s/shards", "4"}, {"/broker/durability", "none"}});
  ASSERT_TRUE(loaded.topology) << findings(loaded);
  EXPECT_EQ(loaded.topology->find_stage("p")->workers, 2U);
  EXPECT_EQ(loaded.topology->find_stream("s")->shards, 4U);
  EXPECT_EQ(loaded.topology->broker.durability, Durability::kNone);
  EXPECT_EQ(
      findings(load(kFile, {{"/http", "null"}, {"/stages/p/workers", "x"}, {"/stages/n/config/too", "7"}})),
      "--set:2: /stages/p/workers: must be a whole number from 1 to 1024, not a string\n"
      "--set:3: /stages/n/config/too: no field \"too\"; did you mean \"to\"? (fields: from, interval, key_modulo, "
      "rate, start, step, to)\n");
}

}  // namespace
}  // namespace weir
