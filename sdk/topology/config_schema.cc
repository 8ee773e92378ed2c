// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/config_schema.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <string_view>
#include <utility>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "sdk/topology/json_convert.h"
#include "sdk/topology/names.h"
#include "sdk/topology/schema_sentence.h"
#include "sdk/topology/schema_walk.h"

namespace weir {
namespace {

using Json = nlohmann::json;
using Adapter = valijson::adapters::NlohmannJsonAdapter;
using Kind = JsonNode::Kind;
using Problems = std::vector<ConfigProblem>;

/// Alternatives within alternatives are explained so deep; below, only that none fits.
constexpr int kChoicesDeep = 6;

/// "<root>", "[emit]", "[0]": the path as valijson gives it, as a JSON Pointer.
std::string pointer_of(const std::vector<std::string>& context) {
  std::string pointer;
  for (std::size_t i = 1; i < context.size(); ++i) {
    std::string_view step = context[i];
    if (step.size() >= 2 && step.front() == '[' && step.back() == ']') step = step.substr(1, step.size() - 2);
    pointer = pointer_to(pointer, step);
  }
  return pointer;
}

/// `schema` without "format": in draft-07 it is a remark, and valijson throws where it meets one on a number.
JsonNode without_formats(const JsonNode& schema) {
  JsonNode kept = schema;
  if (!schema.is(JsonNode::Kind::kObject) && !schema.is(JsonNode::Kind::kArray)) return kept;
  kept.children.clear();
  for (const JsonNode& child : schema.children) {
    if (child.name == "format" && child.is(JsonNode::Kind::kString)) continue;
    const bool is_value = child.name == "const" || child.name == "enum" || child.name == "default";
    kept.children.push_back(is_value ? child : without_formats(child));
  }
  return kept;
}

/// What valijson says, in its own words. Throws what valijson throws.
Problems raw_problems(const JsonNode& config, const JsonNode& schema) {
  const auto schema_json = convert_json<Json>(without_formats(schema));
  const auto config_json = convert_json<Json>(config);
  valijson::Schema parsed;
  valijson::SchemaParser(valijson::SchemaParser::kDraft7).populateSchema(Adapter(schema_json), parsed);
  valijson::Validator validator(valijson::Validator::kStrongTypes);
  valijson::ValidationResults results;
  Problems problems;
  if (validator.validate(parsed, Adapter(config_json), &results)) return problems;
  valijson::ValidationResults::Error error;
  while (results.popError(error)) problems.push_back({pointer_of(error.context), error.description});
  if (problems.empty()) problems.push_back({"", "does not obey the plugin's schema"});
  return problems;
}

bool is_failed_choice(const ConfigProblem& problem) {
  return problem.message.find("anyOf constraint") != std::string::npos ||
         problem.message.find("oneOf constraint") != std::string::npos ||
         problem.message.find("exactly one child schema") != std::string::npos;
}

bool is_within(std::string_view pointer, std::string_view ancestor) {
  return pointer.starts_with(ancestor) && (pointer.size() == ancestor.size() || pointer[ancestor.size()] == '/');
}

/// `branch` as a schema of its own, with the definitions that it may refer to.
JsonNode standing_alone(const JsonNode& branch, const JsonNode& schema) {
  JsonNode alone = branch;
  alone.name.clear();
  const JsonNode* definitions = schema.find("definitions");
  if (definitions != nullptr && alone.is(Kind::kObject) && alone.find("definitions") == nullptr)
    alone.children.push_back(*definitions);
  return alone;
}

/// `"values", "records"` where the alternatives differ in what they require; "" where they differ in other ways.
std::string required_names(const JsonNode& branches) {
  std::vector<std::string> names;
  for (const JsonNode& branch : branches.children) {
    const JsonNode* required = branch.find("required");
    if (branch.children.size() != 1 || required == nullptr || required->children.size() != 1) return "";
    names.push_back(in_quotes(required->children.front().text));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

Problems explain(const JsonNode& config, const JsonNode& schema, int choices_deep);

/// Why `value` obeys none of `branches`: what the one that fits best says, which is the one whose type fits and that
/// finds least. Nothing where not even a type fits.
Problems explain_choice(const JsonNode& value, const JsonNode& branches, const JsonNode& schema, int choices_deep) {
  if (const std::string names = required_names(branches); !names.empty())
    return {{"", fmt::format("takes one of {}, and only one", names)}};
  std::optional<Problems> best;
  std::size_t fitting = 0;
  for (const JsonNode& branch : branches.children) {
    const JsonNode alone = standing_alone(branch, schema);
    Problems found = explain(value, alone, choices_deep - 1);
    if (found.empty()) ++fitting;
    if (found.empty() || !permits_type(SchemaView(&alone), value)) continue;
    if (!best || found.size() < best->size()) best = std::move(found);
  }
  if (fitting > 1) return {{"", "fits several of the alternatives that exclude each other"}};
  return best.value_or(Problems{});
}

Problems explain(const JsonNode& config, const JsonNode& schema, int choices_deep) {
  const Problems raw = raw_problems(config, schema);
  // Where no alternative fits, valijson says of each what it lacks; only the outermost such places count.
  std::vector<std::string> choices;
  for (const ConfigProblem& problem : raw) {
    if (is_failed_choice(problem)) choices.push_back(problem.pointer);
  }
  std::erase_if(choices, [&](const std::string& inner) {
    return std::ranges::any_of(
        choices, [&](const std::string& outer) { return outer.size() < inner.size() && is_within(inner, outer); });
  });
  std::ranges::sort(choices);
  choices.erase(std::unique(choices.begin(), choices.end()), choices.end());

  Problems problems;
  const auto add = [&](ConfigProblem problem) {
    const bool known = std::ranges::any_of(problems, [&](const ConfigProblem& other) {
      return other.pointer == problem.pointer && other.message == problem.message;
    });
    if (!problem.message.empty() && !known) problems.push_back(std::move(problem));
  };
  for (const ConfigProblem& problem : raw) {
    const auto within = [&](const std::string& choice) { return is_within(problem.pointer, choice); };
    if (std::ranges::none_of(choices, within)) add(schema_sentence(problem.pointer, problem.message, schema, config));
  }
  for (const std::string& choice : choices) {
    const JsonNode* value = follow(config, choice);
    const SchemaView view = schema_at(schema, config, choice);
    const JsonNode* branches = view.first("anyOf") != nullptr ? view.first("anyOf") : view.first("oneOf");
    Problems found;
    if (value != nullptr && branches != nullptr && choices_deep > 0)
      found = explain_choice(*value, *branches, schema, choices_deep);
    if (found.empty() && value != nullptr && !permits_type(view, *value))
      found.push_back({"", type_sentence(view, *value)});
    if (found.empty()) found.push_back({"", "fits none of the forms that are possible here"});
    for (ConfigProblem& problem : found) add({choice + problem.pointer, std::move(problem.message)});
  }
  if (problems.empty() && !raw.empty()) problems.push_back(raw.front());
  return problems;
}

}  // namespace

std::vector<ConfigProblem> check_config(const JsonNode& config, const JsonNode& schema) {
  try {
    return explain(config, schema, kChoicesDeep);
  } catch (const std::exception& error) {
    return {{"", fmt::format("the plugin's schema is unusable: {}", error.what())}};
  }
}

bool config_matches(const JsonNode& config, const JsonNode& schema) {
  try {
    return raw_problems(config, schema).empty();
  } catch (const std::exception&) {
    return false;  // said where the configuration itself is checked
  }
}

}  // namespace weir
