// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/schema_walk.h"

#include <algorithm>

namespace weir {
namespace {

using Kind = JsonNode::Kind;
constexpr int kReferencesMax = 16;
constexpr std::size_t kPartsMax = 256;

}  // namespace

SchemaView::SchemaView(const JsonNode* schema) : root_(schema) {
  if (schema != nullptr) open(*schema, 0);
}

void SchemaView::open(const JsonNode& schema, int depth) {
  if (!schema.is(Kind::kObject) || depth > kReferencesMax || parts_.size() >= kPartsMax) return;
  parts_.push_back(&schema);
  for (const char* several : {"allOf", "anyOf", "oneOf"}) {
    const JsonNode* list = schema.find(several);
    if (list == nullptr || !list->is(Kind::kArray)) continue;
    for (const JsonNode& part : list->children) open(part, depth + 1);
  }
  const JsonNode* reference = schema.find("$ref");
  if (reference != nullptr && reference->text.starts_with('#')) {
    const JsonNode* target = follow(*root_, std::string_view(reference->text).substr(1));
    if (target != nullptr) open(*target, depth + 1);
  }
}

SchemaView SchemaView::member(std::string_view name) const {
  SchemaView view(nullptr);
  view.root_ = root_;
  for (const JsonNode* part : parts_) {
    const JsonNode* properties = part->find("properties");
    const JsonNode* found = properties != nullptr ? properties->find(name) : nullptr;
    if (found == nullptr) found = part->find("additionalProperties");
    if (found != nullptr) view.open(*found, 0);
  }
  return view;
}

SchemaView SchemaView::element(std::size_t index) const {
  SchemaView view(nullptr);
  view.root_ = root_;
  for (const JsonNode* part : parts_) {
    const JsonNode* items = part->find("items");
    if (items == nullptr) continue;
    if (!items->is(Kind::kArray)) {
      view.open(*items, 0);
    } else if (index < items->children.size()) {
      view.open(items->children[index], 0);
    } else if (const JsonNode* rest = part->find("additionalItems")) {
      view.open(*rest, 0);
    }
  }
  return view;
}

bool SchemaView::is_path() const {
  return std::ranges::any_of(parts_, [](const JsonNode* part) {
    const JsonNode* format = part->find("format");
    return format != nullptr && format->text == "path";
  });
}

std::vector<std::string> SchemaView::types() const {
  std::vector<std::string> types;
  const auto add = [&](const JsonNode& type) {
    if (type.is(Kind::kString) && std::ranges::find(types, type.text) == types.end()) types.push_back(type.text);
  };
  for (const JsonNode* part : parts_) {
    const JsonNode* type = part->find("type");
    if (type == nullptr) continue;
    add(*type);
    for (const JsonNode& one : type->children) add(one);
  }
  return types;
}

bool SchemaView::permits(std::string_view type) const {
  const std::vector<std::string> known = types();
  return known.empty() || std::ranges::find(known, type) != known.end();
}

const JsonNode* SchemaView::annotation(std::string_view keyword) const {
  return parts_.empty() ? nullptr : parts_.front()->find(keyword);
}

const JsonNode* SchemaView::first(std::string_view keyword) const {
  for (const JsonNode* part : parts_) {
    if (const JsonNode* found = part->find(keyword)) return found;
  }
  return nullptr;
}

std::vector<const JsonNode*> SchemaView::choices() const {
  std::vector<const JsonNode*> values;
  for (const JsonNode* part : parts_) {
    const JsonNode* list = part->find("enum");
    if (list == nullptr) continue;
    for (const JsonNode& value : list->children) values.push_back(&value);
  }
  return values;
}

std::vector<std::string> SchemaView::fields() const {
  std::vector<std::string> names;
  for (const JsonNode* part : parts_) {
    const JsonNode* properties = part->find("properties");
    if (properties == nullptr) continue;
    for (const JsonNode& property : properties->children) {
      if (std::ranges::find(names, property.name) == names.end()) names.push_back(property.name);
    }
  }
  return names;
}

}  // namespace weir
