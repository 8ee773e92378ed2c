// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sdk/topology/names.h"

namespace weir {
namespace {

using Kind = JsonNode::Kind;

void put_place(JsonNode& node, Place place) {
  node.place = place;
  for (JsonNode& child : node.children) put_place(child, place);
}

/// The element that `step` names, added where it is the next one or "-".
Result<JsonNode*> element(JsonNode& list, const std::string& step) {
  const std::size_t size = list.children.size();
  const bool digits =
      !step.empty() && step.size() < 8 && std::ranges::all_of(step, [](char c) { return c >= '0' && c <= '9'; });
  const std::size_t index = step == "-" ? size : digits ? std::stoul(step) : size + 1;
  if (index > size)
    return {Code::kInvalid,
            fmt::format("{} is no index into a list of {}; the next is {}", in_quotes(step), size, size)};
  if (index == size) list.children.emplace_back();
  return &list.children[index];
}

Status apply(JsonNode& root, const std::vector<std::string>& steps, JsonNode value, Place place) {
  JsonNode* node = &root;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (node->is(Kind::kArray)) {
      Result<JsonNode*> next = element(*node, steps[i]);
      if (!next) return next.error();
      node = *next;
    } else if (node->is(Kind::kObject)) {
      const bool is_new = node->find(steps[i]) == nullptr;
      node = &node->at_or_add(steps[i]);
      if (is_new) node->place = place;
    } else {
      return {Code::kInvalid,
              fmt::format("{} stands where an object would have to hold {}", kind_name(*node), in_quotes(steps[i]))};
    }
    // What is not there yet, or is null, becomes an object on the way to the value.
    if (node->is(Kind::kNull) && i + 1 < steps.size()) {
      node->kind = Kind::kObject;
      node->place = place;
    }
  }
  value.name = node->name;
  put_place(value, place);
  *node = std::move(value);
  return {};
}

}  // namespace

Result<Setting> parse_setting(std::string_view argument) {
  const std::size_t equals = argument.find('=');
  if (equals == std::string_view::npos || equals == 0 || !pointer_steps(argument.substr(0, equals))) {
    return {Code::kInvalid,
            fmt::format("--set {} is not of the form POINTER=VALUE, as /stages/count/workers=4", in_quotes(argument))};
  }
  return Setting{std::string(argument.substr(0, equals)), std::string(argument.substr(equals + 1))};
}

std::vector<Diagnostic> apply_settings(JsonNode& root, const std::vector<Setting>& settings) {
  std::vector<Diagnostic> problems;
  std::uint32_t number = 0;
  for (const Setting& setting : settings) {
    ++number;
    const auto fail = [&](std::string message) {
      problems.push_back({Severity::kError, "--set", number, setting.pointer, std::move(message)});
    };
    const auto steps = pointer_steps(setting.pointer);
    if (!steps || steps->empty() || !is_utf8(setting.pointer)) {
      fail("this is no JSON Pointer to a field; write one like /stages/count/workers");
      continue;
    }
    if (steps->size() >= kJsonDepthMax) {
      fail(fmt::format("this leads deeper than {}", kJsonDepthMax));
      continue;
    }
    if (!is_utf8(setting.value)) {
      fail("the value is no UTF-8");
      continue;
    }
    Result<JsonNode> parsed = parse_json_strictly(setting.value);
    const Status applied =
        apply(root, *steps, parsed ? std::move(*parsed) : JsonNode::of_text(setting.value), Place{number, true});
    if (!applied) fail(applied.error().message);
  }
  return problems;
}

}  // namespace weir
