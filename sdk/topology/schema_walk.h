// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "sdk/topology/json_document.h"

namespace weir {

/// The parts of a JSON Schema that speak about one value, found by descending along with it: `properties`,
/// `additionalProperties`, `items`, through `allOf`, `anyOf`, `oneOf` and local `$ref`. Used for what validation does
/// not give: which strings are paths, where a number is asked for, which fields there are. Borrows the schema.
class SchemaView {
 public:
  /// `schema` may be null: nothing is said then.
  explicit SchemaView(const JsonNode* schema);

  [[nodiscard]] SchemaView member(std::string_view name) const;
  [[nodiscard]] SchemaView element(std::size_t index) const;

  /// Whether strings here are paths (`"format": "path"`).
  [[nodiscard]] bool is_path() const;
  /// Whether `type` is permitted; true where nothing is said of types.
  [[nodiscard]] bool permits(std::string_view type) const;
  /// The types that are permitted, in the order of the schema; empty where nothing is said.
  [[nodiscard]] std::vector<std::string> types() const;
  /// What the schema that stands at the value itself says of `keyword` ("description", "default"); null if nothing.
  [[nodiscard]] const JsonNode* annotation(std::string_view keyword) const;
  /// The first that any part of the schema says of `keyword`; null if none says anything.
  [[nodiscard]] const JsonNode* first(std::string_view keyword) const;
  /// The values of `enum`.
  [[nodiscard]] std::vector<const JsonNode*> choices() const;
  /// The names under `properties`, each once.
  [[nodiscard]] std::vector<std::string> fields() const;

 private:
  void open(const JsonNode& schema, int depth);

  const JsonNode* root_ = nullptr;
  std::vector<const JsonNode*> parts_;
};

}  // namespace weir
