// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/substitute.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "sdk/topology/names.h"
#include "sdk/topology/schema_walk.h"

namespace weir {
namespace {

using Kind = JsonNode::Kind;

bool is_variable_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && letter(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

/// The value of what stands between `${` and `}`.
Result<std::string> value_of(std::string_view inside, const Environment& environment) {
  const std::size_t dash = inside.find(":-");
  const std::string name(inside.substr(0, dash));
  if (!is_variable_name(name)) {
    return {Code::kInvalid, fmt::format("{} is neither ${{NAME}} nor ${{NAME:-default}}; a literal ${{ is written $${{",
                                        in_quotes(fmt::format("${{{}}}", inside)))};
  }
  std::optional<std::string> value = environment(name);
  if (dash != std::string_view::npos && (!value || value->empty())) return std::string(inside.substr(dash + 2));
  if (!value) {
    return {Code::kInvalid, fmt::format("the environment has no {0}; set it, or write ${{{0}:-default}}", name)};
  }
  if (!is_utf8(*value)) return {Code::kInvalid, fmt::format("the value of {} in the environment is no UTF-8", name)};
  return std::move(*value);
}

/// `text`, the value of a variable, as what the schema asks for.
JsonNode converted(std::string text, const SchemaView& view) {
  const bool wants_number = view.permits("number") || view.permits("integer");
  if (view.types().empty() || view.permits("string") || !(wants_number || view.permits("boolean")))
    return JsonNode::of_text(std::move(text));
  const Result<JsonNode> parsed = parse_json_strictly(text);
  if (!parsed) return JsonNode::of_text(std::move(text));
  const JsonNode& value = parsed.value();
  const bool number = value.is(Kind::kNatural) || value.is(Kind::kInteger) || value.is(Kind::kReal);
  if ((number && wants_number) || (value.is(Kind::kBool) && view.permits("boolean"))) return value;
  return JsonNode::of_text(std::move(text));
}

void walk(JsonNode& node, const std::string& pointer, const SchemaView& view, const Environment& environment,
          std::vector<SubstitutionProblem>& problems) {
  if (node.is(Kind::kString)) {
    const bool alone = is_one_variable(node.text);
    Result<std::string> text = expand(node.text, environment);
    if (!text) {
      problems.push_back({pointer, text.error().message});
      return;
    }
    JsonNode value = alone ? converted(std::move(*text), view) : JsonNode::of_text(std::move(*text));
    value.name = std::move(node.name);
    value.place = node.place;
    node = std::move(value);
    return;
  }
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    JsonNode& child = node.children[i];
    const bool member = node.is(Kind::kObject);
    walk(child, pointer_to(pointer, member ? child.name : std::to_string(i)),
         member ? view.member(child.name) : view.element(i), environment, problems);
  }
}

}  // namespace

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

Result<std::string> expand(std::string_view text, const Environment& environment) {
  std::string expanded;
  while (!text.empty()) {
    const std::size_t dollar = text.find('$');
    expanded += text.substr(0, dollar);
    if (dollar == std::string_view::npos) break;
    text.remove_prefix(dollar);
    if (text.starts_with("$${")) {
      expanded += "${";
      text.remove_prefix(3);
    } else if (text.starts_with("${")) {
      const std::size_t end = text.find('}');
      if (end == std::string_view::npos)
        return {Code::kInvalid, fmt::format("{} has no closing brace; a literal ${{ is written $${{", in_quotes(text))};
      Result<std::string> value = value_of(text.substr(2, end - 2), environment);
      if (!value) return value.error();
      expanded += *value;
      text.remove_prefix(end + 1);
    } else {
      expanded += '$';
      text.remove_prefix(1);
    }
  }
  return expanded;
}

bool is_one_variable(std::string_view text) { return text.starts_with("${") && text.find('}') == text.size() - 1; }

std::string escape_variables(std::string_view text) {
  std::string escaped;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("${")) escaped += '$';
    escaped += text[i];
  }
  return escaped;
}

std::vector<SubstitutionProblem> substitute(JsonNode& config, std::string_view pointer, const JsonNode* schema,
                                            const Environment& environment) {
  std::vector<SubstitutionProblem> problems;
  walk(config, std::string(pointer), SchemaView(schema), environment, problems);
  return problems;
}

Result<std::string> substitute(std::string_view config, std::string_view schema, const Environment& environment) {
  Result<JsonNode> tree = parse_json_strictly(config);
  if (!tree) return tree.error();
  std::optional<JsonNode> asked;
  if (!schema.empty()) {
    Result<JsonNode> parsed = parse_json_strictly(schema);
    if (!parsed) return parsed.error();
    asked = std::move(*parsed);
  }
  const auto problems = substitute(*tree, "", asked ? &*asked : nullptr, environment);
  if (!problems.empty())
    return {Code::kInvalid, fmt::format("{}: {}", problems.front().pointer, problems.front().message)};
  return to_text(*tree);
}

}  // namespace weir
