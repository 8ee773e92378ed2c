// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/config_schema.h"

#include <gtest/gtest.h>

#include "sdk/topology/json_document.h"

namespace weir {
namespace {

std::string problems(std::string_view config, std::string_view schema) {
  std::string text;
  for (const ConfigProblem& problem :
       check_config(parse_json_strictly(config).value(), parse_json_strictly(schema).value()))
    text += problem.pointer + ": " + problem.message + "\n";
  return text;
}

TEST(ConfigSchema, TellsEachKeywordInASentence) {
  constexpr std::string_view kSchema = R"({"type": "object", "properties": {
    "least": {"minimum": 1}, "most": {"maximum": 2.5}, "above": {"exclusiveMinimum": 0}, "below": {"exclusiveMaximum": 3},
    "size": {"type": "string", "pattern": "^[0-9]+B$"}, "fixed": {"const": "x"}, "few": {"enum": [1, "a"]}}})";
  EXPECT_EQ(
      problems(R"({"least": 1, "most": 2.5, "above": 0.1, "below": 2, "size": "5B", "fixed": "x", "few": 1})", kSchema),
      "");
  EXPECT_EQ(problems(R"({"least": 0})", kSchema), "/least: must be at least 1\n");
  EXPECT_EQ(problems(R"({"most": 3})", kSchema), "/most: must be at most 2.5\n");
  EXPECT_EQ(problems(R"({"above": 0})", kSchema), "/above: must be above 0\n");
  EXPECT_EQ(problems(R"({"below": 3})", kSchema), "/below: must be below 3\n");
  EXPECT_EQ(problems(R"({"size": "5"})", kSchema), "/size: does not match ^[0-9]+B$\n");
  EXPECT_EQ(problems(R"({"fixed": "y"})", kSchema), "/fixed: must be x\n");
  EXPECT_EQ(problems(R"({"few": 2})", kSchema), "/few: must be one of 1, a\n");
  EXPECT_EQ(problems("[]", kSchema), ": must be of type object, not a list\n");
}

// The condition of `filter`, which refers to itself.
constexpr std::string_view kCondition = R"({"properties": {"where": {"$ref": "#/definitions/condition"}},
  "definitions": {"condition": {"oneOf": [
    {"type": "object", "additionalProperties": false, "required": ["field", "op", "value"],
     "properties": {"field": {"type": "string"}, "op": {"enum": ["==", "!="]}, "value": {}}},
    {"type": "object", "additionalProperties": false, "required": ["field", "op"],
     "properties": {"field": {"type": "string"}, "op": {"const": "exists"}}},
    {"type": "object", "additionalProperties": false, "required": ["all"],
     "properties": {"all": {"type": "array", "items": {"$ref": "#/definitions/condition"}}}}]}}})";

TEST(ConfigSchema, OfSeveralAlternativesTellsWhatTheNearestLacks) {
  EXPECT_EQ(problems(R"({"where": {"field": "/a", "op": "==", "value": 1}})", kCondition), "");
  EXPECT_EQ(problems(R"({"where": {"field": "/a", "op": "=", "value": 1}})", kCondition),
            "/where/op: no op \"=\"; did you mean \"!=\"? (op: !=, ==)\n");
  EXPECT_EQ(problems(R"({"where": {"all": [{"field": "/a", "op": "exists"}, {"field": 1, "op": "==", "value": 2}]}})",
                     kCondition),
            "/where/all/1/field: must be of type string, not a number\n");
  EXPECT_EQ(problems(R"({"where": 7})", kCondition), "/where: must be of type object, not a number\n");
}

TEST(ConfigSchema, NamesFieldsThatExcludeEachOther) {
  constexpr std::string_view kSchema = R"({"oneOf": [{"required": ["values"]}, {"required": ["records"]}]})";
  EXPECT_EQ(problems(R"({"values": 1})", kSchema), "");
  EXPECT_EQ(problems("{}", kSchema), ": takes one of \"values\", \"records\", and only one\n");
  EXPECT_EQ(problems(R"({"values": 1, "records": 2})", kSchema),
            ": takes one of \"values\", \"records\", and only one\n");
}

TEST(ConfigSchema, EndsForASchemaThatRefersToItselfWithoutEnd) {
  EXPECT_NE(
      problems(
          R"({"a": 1})",
          R"({"anyOf": [{"properties": {"a": {"$ref": "#/definitions/x"}}}], "definitions": {"x": {"anyOf": [{"type": "string"}, {"type": "array"}]}}})"),
      "");
}

}  // namespace
}  // namespace weir
