// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/schema_sentence.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>
#include <vector>

#include "sdk/topology/names.h"

namespace weir {
namespace {

/// What stands between the last two apostrophes of `text`, or "".
std::string_view between_apostrophes(std::string_view text) {
  const std::size_t end = text.rfind('\'');
  const std::size_t begin = text.find('\'');
  return begin == end ? std::string_view() : text.substr(begin + 1, end - begin - 1);
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

/// What the schema says of `name`, as JSON text.
std::string keyword(const SchemaView& view, std::string_view name) {
  const JsonNode* value = view.first(name);
  return value == nullptr ? std::string(name) : value->is(JsonNode::Kind::kString) ? value->text : to_text(*value);
}

}  // namespace

SchemaView schema_at(const JsonNode& schema, const JsonNode& config, const std::string& pointer) {
  SchemaView view(&schema);
  const JsonNode* node = &config;
  for (const std::string& step : pointer_steps(pointer).value_or(std::vector<std::string>{})) {
    view =
        node != nullptr && node->is(JsonNode::Kind::kArray) ? view.element(std::stoul("0" + step)) : view.member(step);
    node = node == nullptr ? nullptr : follow(*node, pointer_to("", step));
  }
  return view;
}

bool permits_type(const SchemaView& view, const JsonNode& value) {
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

std::string type_sentence(const SchemaView& view, const JsonNode& value) {
  return fmt::format("must be of type {}, not {}", fmt::join(view.types(), " or "), kind_name(value));
}

ConfigProblem schema_sentence(std::string pointer, std::string_view described, const JsonNode& schema,
                              const JsonNode& config) {
  const SchemaView view = schema_at(schema, config, pointer);
  if (described.starts_with("Failed to validate against schema associated with property") ||
      described.starts_with("Failed to validate against additional properties schema") ||
      described.starts_with("Failed to validate item #") ||
      described.starts_with("Failed to validate against child schema"))
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
    // Of a branch of several, another makes the type good.
    if (value == nullptr || permits_type(view, *value)) return {std::move(pointer), ""};
    return {std::move(pointer), type_sentence(view, *value)};
  }
  if (described.starts_with("Failed to match against any enum values"))
    return {pointer, no_such_choice(pointer, follow(config, pointer), view.choices())};
  if (described.starts_with("Failed to match regex"))
    return {std::move(pointer), fmt::format("does not match {}", keyword(view, "pattern"))};
  if (described.starts_with("Failed to match expected value"))
    return {std::move(pointer), fmt::format("must be {}", keyword(view, "const"))};
  if (described.starts_with("Expected number greater than or equal"))
    return {std::move(pointer), fmt::format("must be at least {}", keyword(view, "minimum"))};
  if (described.starts_with("Expected number less than or equal"))
    return {std::move(pointer), fmt::format("must be at most {}", keyword(view, "maximum"))};
  if (described.starts_with("Expected number greater"))
    return {std::move(pointer), fmt::format("must be above {}", keyword(view, "exclusiveMinimum"))};
  if (described.starts_with("Expected number less"))
    return {std::move(pointer), fmt::format("must be below {}", keyword(view, "exclusiveMaximum"))};
  return {std::move(pointer), std::string(described)};
}

}  // namespace weir
