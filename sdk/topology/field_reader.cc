// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/field_reader.h"

#include <utility>

#include "sdk/base/units.h"

namespace weir {
namespace {

using Kind = JsonNode::Kind;

std::vector<std::string> field_names(FieldOwner owner) {
  std::vector<std::string> names;
  for (const Field& field : kFields) {
    if (field.owner == owner && field.built) names.emplace_back(field.name);
  }
  return names;
}

}  // namespace

FieldReader::FieldReader(const JsonNode* object, std::string pointer, FieldOwner owner, Report& report,
                         const Environment& environment)
    : pointer_(std::move(pointer)), owner_(owner), report_(report), environment_(environment) {
  if (object == nullptr) return;
  if (!object->is(Kind::kObject)) {
    report_.error(pointer_, fmt::format("must be an object, not {}", kind_name(*object)));
    return;
  }
  object_ = object;
  for (const JsonNode& member : object->children) {
    if (report_.full()) return;
    const Field* known = find_field(owner, member.name);
    if (known == nullptr)
      report_.error(pointer_to(pointer_, member.name), no_such("field", member.name, "fields", field_names(owner)));
    else if (!known->built)
      report_.not_built(pointer_to(pointer_, member.name), member.name);
  }
}

const JsonNode* FieldReader::field(std::string_view name) {
  const Field* known = find_field(owner_, name);
  WEIR_CHECK(known != nullptr, "only fields of kFields are read");
  if (object_ != nullptr) {
    if (const JsonNode* found = object_->find(name)) return found;
  }
  if (known->fallback.empty()) return nullptr;
  Result<JsonNode> parsed = parse_json_strictly(known->fallback);
  WEIR_CHECK(parsed.ok(), "defaults are JSON");
  return &defaults_.emplace_back(std::move(*parsed));
}

std::optional<std::string> FieldReader::text_at(const JsonNode& node, const std::string& where) {
  if (!node.is(Kind::kString)) {
    report_.error(where, fmt::format("must be a string, not {}", kind_name(node)));
    return std::nullopt;
  }
  Result<std::string> expanded = expand(node.text, environment_);
  if (!expanded) {
    report_.error(where, expanded.error().message);
    return std::nullopt;
  }
  return std::move(*expanded);
}

std::optional<std::string> FieldReader::text(std::string_view name) {
  const JsonNode* node = field(name);
  if (node == nullptr) return std::nullopt;
  return text_at(*node, pointer(name));
}

std::optional<std::uint64_t> FieldReader::number(std::string_view name, std::uint64_t min, std::uint64_t max) {
  const JsonNode* node = field(name);
  if (node == nullptr) return std::nullopt;
  JsonNode value = *node;
  if (node->is(Kind::kString) && is_one_variable(node->text)) {
    const std::optional<std::string> expanded = text(name);
    if (!expanded) return std::nullopt;
    if (Result<JsonNode> parsed = parse_json_strictly(*expanded)) value = std::move(*parsed);
  }
  if (value.is(Kind::kNatural) && value.natural >= min && value.natural <= max) return value.natural;
  const bool number = value.is(Kind::kNatural) || value.is(Kind::kInteger) || value.is(Kind::kReal);
  report_.error(pointer(name), fmt::format("must be a whole number from {} to {}{}", min, max,
                                           number ? "" : fmt::format(", not {}", kind_name(value))));
  return std::nullopt;
}

std::optional<bool> FieldReader::boolean(std::string_view name) {
  const JsonNode* node = field(name);
  if (node == nullptr) return std::nullopt;
  JsonNode value = *node;
  if (node->is(Kind::kString) && is_one_variable(node->text)) {
    const std::optional<std::string> expanded = text(name);
    if (!expanded) return std::nullopt;
    if (Result<JsonNode> parsed = parse_json_strictly(*expanded)) value = std::move(*parsed);
  }
  if (value.is(Kind::kBool)) return value.boolean;
  report_.error(pointer(name), fmt::format("must be true or false, not {}", kind_name(value)));
  return std::nullopt;
}

std::optional<std::uint64_t> FieldReader::size(std::string_view name, std::uint64_t bytes_min) {
  const std::optional<std::string> written = text(name);
  if (!written) return std::nullopt;
  const Result<std::uint64_t> bytes = parse_size(*written);
  if (!bytes) {
    report_.error(pointer(name), bytes.error().message);
    return std::nullopt;
  }
  if (*bytes < bytes_min) {
    report_.error(pointer(name), fmt::format("must be at least {}", format_size(bytes_min)));
    return std::nullopt;
  }
  return *bytes;
}

std::optional<std::chrono::microseconds> FieldReader::duration(std::string_view name, std::chrono::milliseconds min) {
  const std::optional<std::string> written = text(name);
  if (!written) return std::nullopt;
  const Result<std::chrono::microseconds> time = parse_duration(*written);
  if (!time) {
    report_.error(pointer(name), time.error().message);
    return std::nullopt;
  }
  if (*time < min) {
    report_.error(pointer(name), fmt::format("must be at least {}ms", min.count()));
    return std::nullopt;
  }
  return *time;
}

}  // namespace weir
