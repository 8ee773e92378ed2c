// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/substitute.h"

#include <gtest/gtest.h>

#include "tests/sdk/topology/standard_plugins.h"

namespace weir {
namespace {

const Environment kVariables =
    variables({{"HOST", "db1"}, {"EMPTY", ""}, {"N", "7"}, {"YES", "true"}, {"BROKEN", "\xFF"}});

std::string expanded(std::string_view text) {
  const Result<std::string> result = expand(text, kVariables);
  return result ? *result : "error: " + result.error().message;
}

TEST(Substitute, ReplacesVariablesAnywhereInAString) {
  EXPECT_EQ(expanded("${HOST}"), "db1");
  EXPECT_EQ(expanded("tcp://${HOST}:${PORT:-9092}/"), "tcp://db1:9092/");
  EXPECT_EQ(expanded("${EMPTY}"), "");
  EXPECT_EQ(expanded("${EMPTY:-x}"), "x") << "as in a shell";
  EXPECT_EQ(expanded("${NONE:-}"), "");
  EXPECT_EQ(expanded("${NONE:-a:-b}"), "a:-b");
}

TEST(Substitute, LeavesEveryOtherDollarAlone) {
  EXPECT_EQ(expanded("$${HOST} $HOST $ $$ ^a$"), "${HOST} $HOST $ $$ ^a$");
  EXPECT_EQ(expanded("$$${HOST}"), "$${HOST}");
  EXPECT_EQ(expanded(escape_variables("a ${HOST} $ ${")), "a ${HOST} $ ${");
}

TEST(Substitute, SaysWhatIsWrongWithAVariable) {
  EXPECT_EQ(expanded("${NONE}"), "error: the environment has no NONE; set it, or write ${NONE:-default}");
  EXPECT_EQ(expanded("${1X}"), "error: \"${1X}\" is neither ${NAME} nor ${NAME:-default}; a literal ${ is written $${");
  EXPECT_EQ(expanded("${}"), "error: \"${}\" is neither ${NAME} nor ${NAME:-default}; a literal ${ is written $${");
  EXPECT_EQ(expanded("a ${HOST"), "error: \"${HOST\" has no closing brace; a literal ${ is written $${");
  EXPECT_EQ(expanded("${BROKEN}"), "error: the value of BROKEN in the environment is no UTF-8");
}

constexpr std::string_view kSchema = R"({"properties": {
  "rate": {"type": "number"}, "on": {"type": "boolean"}, "text": {"type": "string"},
  "either": {"type": ["string", "number"]}, "any": {}, "list": {"items": {"type": "integer"}},
  "branch": {"anyOf": [{"type": "boolean"}, {"$ref": "#/definitions/n"}]}},
  "definitions": {"n": {"type": "integer"}}})";

TEST(Substitute, ConvertsAStringThatIsOneVariableWhereTheSchemaAsksForANumberOrBoolean) {
  const Result<std::string> done = substitute(
      R"({"rate":"${N}","on":"${YES}","text":"${N}","either":"${N}","any":"${N}","list":["${N}","${NONE:-8}"],"branch":"${N}"})",
      kSchema, kVariables);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(*done, R"({"rate":7,"on":true,"text":"7","either":"7","any":"7","list":[7,8],"branch":7})");
}

TEST(Substitute, LeavesTheRestForTheSchemaToRefuse) {
  EXPECT_EQ(*substitute(R"({"rate":"${HOST}","on":"${N}"})", kSchema, kVariables), R"({"rate":"db1","on":"7"})");
  EXPECT_EQ(*substitute(R"({"rate":"1${N}"})", kSchema, kVariables), R"({"rate":"17"})");
}

TEST(Substitute, LeavesKeysAlone) { EXPECT_EQ(*substitute(R"({"${N}":1})", "", kVariables), R"({"${N}":1})"); }

TEST(Substitute, NamesThePlaceOfWhatItCannotReplace) {
  const Result<std::string> done = substitute(R"({"a":[{"b":"${NONE}"}]})", "", kVariables);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message, "/a/0/b: the environment has no NONE; set it, or write ${NONE:-default}");
}

}  // namespace
}  // namespace weir
