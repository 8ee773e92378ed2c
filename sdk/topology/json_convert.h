// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>

#include "sdk/topology/json_document.h"

namespace weir {

/// `node` as a value of nlohmann's library; only sources of this folder include this header.
template <typename Json>
Json convert_json(const JsonNode& node) {
  using Kind = JsonNode::Kind;
  switch (node.kind) {
    case Kind::kNull:
      return nullptr;
    case Kind::kBool:
      return node.boolean;
    case Kind::kInteger:
      return node.integer;
    case Kind::kNatural:
      return node.natural;
    case Kind::kReal:
      return node.real;
    case Kind::kString:
      return node.text;
    case Kind::kArray: {
      Json array = Json::array();
      for (const JsonNode& child : node.children) array.push_back(convert_json<Json>(child));
      return array;
    }
    case Kind::kObject: {
      Json object = Json::object();
      for (const JsonNode& child : node.children) object[child.name] = convert_json<Json>(child);
      return object;
    }
  }
  return nullptr;
}

}  // namespace weir
