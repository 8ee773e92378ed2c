// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fake_host.h"

namespace weir {
namespace {

using testing::ElementsAre;
using testing_host::FakeHost;
using testing_host::Fed;
using testing_host::fed;

TEST(Select, MakesAMapOfFieldsInTheOrderOfItsConfiguration) {
  const std::string fields = R"("fields": {"who": "/user/name", "first": "/tags/0", "all": "", "no": "/user/age"})";
  const Fed record = fed("7", R"({"user": {"name": "Ann"}, "tags": ["a", "b"]})", 3);
  const std::string all = R"({"user":{"name":"Ann"},"tags":["a","b"]})";
  FakeHost null(LIBRARY, "select", "{" + fields + "}");
  null.feed({record});
  EXPECT_THAT(null.pairs(), ElementsAre(R"(7 {"who":"Ann","first":"a","all":)" + all + R"(,"no":null})"));
  EXPECT_EQ(null.outputs[0].timestamp, 3);
  FakeHost skip(LIBRARY, "select", "{" + fields + R"(, "missing": "skip"})");
  skip.feed({record});
  EXPECT_THAT(skip.pairs(), ElementsAre(R"(7 {"who":"Ann","first":"a","all":)" + all + "}"));
  FakeHost error(LIBRARY, "select", "{" + fields + R"(, "missing": "error"})");
  error.feed({record});
  EXPECT_THAT(error.errors, ElementsAre("the field \"/user/age\" is missing"));
}

/// Whether the filter passes the value.
bool passes(const std::string& where, const std::string& value) {
  FakeHost host(LIBRARY, "filter", R"({"where": )" + where + "}");
  if (!host.created()) throw std::runtime_error(host.sentence);
  host.feed({fed("1", value)});
  return !host.outputs.empty();
}

std::string condition(const std::string& op, const std::string& value) {
  return R"({"field": "/f", "op": ")" + op + R"(", "value": )" + value + "}";
}

TEST(Filter, ComparesAFieldWithAValue) {
  struct Case {
    const char* left;
    const char* right;
    bool equal, less;
  };
  const Case cases[] = {
      {"1", "1", true, false},
      {"1", "1.0", true, false},
      {"1", "2", false, true},
      {"2", "1.5", false, false},
      {"\"a\"", "\"b\"", false, true},
      {"\"a\"", "\"a\"", true, false},
      {"-1", "18446744073709551615", false, true},
      {"true", "true", true, false},
      {"null", "null", true, false},
  };
  for (const Case& c : cases) {
    const std::string value = R"({"f": )" + std::string(c.left) + "}";
    EXPECT_EQ(passes(condition("==", c.right), value), c.equal) << c.left << " " << c.right;
    EXPECT_EQ(passes(condition("!=", c.right), value), !c.equal) << c.left << " " << c.right;
    EXPECT_EQ(passes(condition("<", c.right), value), c.less) << c.left << " " << c.right;
    EXPECT_EQ(passes(condition("<=", c.right), value), c.less || c.equal) << c.left << " " << c.right;
    EXPECT_EQ(passes(condition(">", c.right), value), !c.less && !c.equal) << c.left << " " << c.right;
    EXPECT_EQ(passes(condition(">=", c.right), value), !c.less) << c.left << " " << c.right;
  }
}

TEST(Filter, FindsNoOrderBetweenDifferentKindsAndMissingFields) {
  for (const char* value : {R"({"f": "1"})", R"({"f": [1]})", R"({"f": null})", "{}", "5"}) {
    for (const char* op : {"==", "<", "<=", ">", ">="}) EXPECT_FALSE(passes(condition(op, "1"), value)) << value << op;
    EXPECT_TRUE(passes(condition("!=", "1"), value)) << value;
  }
}

TEST(Filter, ComparesListsAndMapsByTheirParts) {
  EXPECT_TRUE(passes(condition("==", R"([1, {"a": 2.0, "b": [3]}])"), R"({"f": [1.0, {"b": [3], "a": 2}]})"));
  EXPECT_FALSE(passes(condition("==", R"([1, {"a": 2, "b": [3]}])"), R"({"f": [1, {"b": [4], "a": 2}]})"));
  EXPECT_FALSE(passes(condition("==", R"({"a": 1})"), R"({"f": {"a": 1, "b": 2}})"));
  EXPECT_TRUE(passes(condition("==", R"([{"a": 1}, 7])"), R"({"f": [{"a": 1}, 7]})"));
}

TEST(Filter, KnowsExistsMatchesAndTheirCombinations) {
  const std::string exists = R"({"field": "/f", "op": "exists"})";
  EXPECT_TRUE(passes(exists, R"({"f": null})"));
  EXPECT_FALSE(passes(exists, "{}"));
  EXPECT_TRUE(passes(condition("exists", "false"), "{}"));
  EXPECT_TRUE(passes(condition("matches", R"("^ab+$")"), R"({"f": "abb"})"));
  EXPECT_TRUE(passes(condition("matches", R"("b")"), R"({"f": "abb"})"));
  EXPECT_FALSE(passes(condition("matches", R"("b")"), R"({"f": 5})"));
  const std::string above = condition(">", "1");
  const std::string below = condition("<", "5");
  EXPECT_TRUE(passes("{\"all\": [" + above + "," + below + "]}", R"({"f": 3})"));
  EXPECT_FALSE(passes("{\"all\": [" + above + "," + below + "]}", R"({"f": 7})"));
  EXPECT_TRUE(passes("{\"any\": [" + condition("<", "1") + "," + above + "]}", R"({"f": 7})"));
  EXPECT_FALSE(passes("{\"any\": []}", R"({"f": 7})"));
  EXPECT_TRUE(passes("{\"all\": []}", R"({"f": 7})"));
  EXPECT_TRUE(passes("{\"not\": {\"any\": [" + exists + "]}}", "{}"));
}

TEST(Filter, PassesTheRecordUnchangedAndRefusesABadPattern) {
  FakeHost host(LIBRARY, "filter", R"({"where": {"field": "", "op": ">", "value": 1}})");
  Fed record = fed("[1]", "2", 5);
  record.headers = testing_host::msgpack(R"({"h": 1})");
  host.feed({record, fed("1", "1")});
  ASSERT_EQ(host.outputs.size(), 1U);
  EXPECT_EQ(host.outputs[0].key, record.key);
  EXPECT_EQ(host.outputs[0].value, record.value);
  EXPECT_EQ(host.outputs[0].headers, record.headers);
  EXPECT_EQ(host.outputs[0].timestamp, 5);
  const FakeHost bad(LIBRARY, "filter", R"({"where": {"field": "", "op": "matches", "value": "("}})");
  EXPECT_EQ(bad.sentence, "/where/value: \"(\" is no RE2 pattern: missing ): (");
}

}  // namespace
}  // namespace weir
