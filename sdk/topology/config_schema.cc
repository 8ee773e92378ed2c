// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/config_schema.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <exception>
#include <set>
#include <string_view>
#include <utility>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "sdk/topology/json_convert.h"
#include "sdk/topology/names.h"
#include "sdk/topology/schema_walk.h"

namespace weir {
namespace {

using Json = nlohmann::json;
using Adapter = valijson::adapters::NlohmannJsonAdapter;

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

/// What stands between the last two apostrophes of `text`, or "".
std::string_view between_apostrophes(std::string_view text) {
  const std::size_t end = text.rfind('\'');
  const std::size_t begin = text.find('\'');
  return begin == end ? std::string_view() : text.substr(begin + 1, end - begin - 1);
}

/// The part of `schema` that speaks about `pointer` in `config`.
SchemaView view_at(const JsonNode& schema, const JsonNode& config, const std::string& pointer) {
  SchemaView view(&schema);
  const JsonNode* node = &config;
  for (const std::string& step : pointer_steps(pointer).value_or(std::vector<std::string>{})) {
    view =
        node != nullptr && node->is(JsonNode::Kind::kArray) ? view.element(std::stoul("0" + step)) : view.member(step);
    node = node == nullptr ? nullptr : follow(*node, pointer_to("", step));
  }
  return view;
}

bool is_permitted(const JsonNode& value, const SchemaView& view) {
  using Kind = JsonNode::Kind;
  switch (value.kind) {
    case Kind::kNull:
      return view.permits("null");
    case Kind::kBool:
      return view.permits("boolean");
    case Kind::kInteger:
    case Kind::kNatural:
      return view.permits("integer") || view.permits("number");
    case Kind::kReal:
      return view.permits("number");
    case Kind::kString:
      return view.permits("string");
    case Kind::kArray:
      return view.permits("array");
    case Kind::kObject:
      return view.permits("object");
  }
  return true;
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

std::string no_such_choice(const std::string& pointer, const JsonNode* value,
                           const std::vector<const JsonNode*>& choices) {
  std::vector<std::string> words;
  words.reserve(choices.size());
  for (const JsonNode* choice : choices)
    words.push_back(choice->is(JsonNode::Kind::kString) ? choice->text : to_text(*choice));
  if (value == nullptr || !value->is(JsonNode::Kind::kString))
    return fmt::format("must be one of {}", fmt::join(words, ", "));
  const auto steps = pointer_steps(pointer);
  const std::string name = steps && !steps->empty() ? steps->back() : "value";
  return no_such(name, value->text, name, std::move(words));
}

/// Sentences of our own for what people get wrong most; valijson's for the rest. Empty: a summary of errors that are
/// reported themselves.
std::pair<std::string, std::string> sentence(std::string pointer, std::string_view described, const JsonNode& schema,
                                             const JsonNode& config) {
  const SchemaView view = view_at(schema, config, pointer);
  if (described.starts_with("Failed to validate against schema associated with property") ||
      described.starts_with("Failed to validate against additional properties schema") ||
      described.starts_with("Failed to validate item #") ||
      described.starts_with("Failed to validate against child schema") ||
      described.starts_with("Failed to validate against any schemas allowed by anyOf"))
    return {std::move(pointer), ""};
  if (described.starts_with("Missing required property")) {
    const std::string_view name = between_apostrophes(described);
    return {std::move(pointer), fmt::format("{} is missing", in_quotes(name))};
  }
  if (described.find("'additionalProperties' constraint") != std::string_view::npos) {
    std::string_view name = described;
    if (const std::size_t colon = name.find(": '"); colon != std::string_view::npos) name.remove_prefix(colon + 2);
    name = between_apostrophes(name);
    if (!name.empty()) return {pointer_to(pointer, name), no_such("field", name, "fields", view.fields())};
  }
  if (described.starts_with("Value type not permitted")) {
    const JsonNode* value = follow(config, pointer);
    // One branch of an anyOf that another branch makes good, at least in its type.
    if (value != nullptr && is_permitted(*value, view)) return {std::move(pointer), ""};
    return {std::move(pointer), fmt::format("must be of type {}{}", fmt::join(view.types(), " or "),
                                            value == nullptr ? "" : fmt::format(", not {}", kind_name(*value)))};
  }
  if (described.starts_with("Failed to match against any enum values"))
    return {pointer, no_such_choice(pointer, follow(config, pointer), view.choices())};
  return {std::move(pointer), std::string(described)};
}

}  // namespace

std::vector<ConfigProblem> check_config(const JsonNode& config, const JsonNode& schema) {
  std::vector<ConfigProblem> problems;
  const auto schema_json = convert_json<Json>(without_formats(schema));
  const auto config_json = convert_json<Json>(config);
  try {
    valijson::Schema parsed;
    valijson::SchemaParser(valijson::SchemaParser::kDraft7).populateSchema(Adapter(schema_json), parsed);
    valijson::Validator validator(valijson::Validator::kStrongTypes);
    valijson::ValidationResults results;
    if (validator.validate(parsed, Adapter(config_json), &results)) return problems;
    std::set<std::pair<std::string, std::string>> seen;
    valijson::ValidationResults::Error error;
    std::string first;
    while (results.popError(error)) {
      if (first.empty()) first = error.description;
      auto [pointer, message] = sentence(pointer_of(error.context), error.description, schema, config);
      if (!message.empty() && seen.emplace(pointer, message).second)
        problems.push_back({std::move(pointer), std::move(message)});
    }
    if (problems.empty()) problems.push_back({"", first.empty() ? "does not obey the plugin's schema" : first});
  } catch (const std::exception& error) {
    problems.push_back({"", fmt::format("the plugin's schema is unusable: {}", error.what())});
  }
  return problems;
}

bool config_matches(const JsonNode& config, const JsonNode& schema) { return check_config(config, schema).empty(); }

}  // namespace weir
