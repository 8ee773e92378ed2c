// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "sdk/topology/config_schema.h"
#include "sdk/topology/json_document.h"
#include "sdk/topology/schema_walk.h"

namespace weir {

/// The part of `schema` that speaks about `pointer` in `config`.
SchemaView schema_at(const JsonNode& schema, const JsonNode& config, const std::string& pointer);

/// Whether the schema permits the type of `value`.
bool permits_type(const SchemaView& view, const JsonNode& value);

/// "must be of type string or array, not a number".
std::string type_sentence(const SchemaView& view, const JsonNode& value);

/// What valijson found at `pointer` of `config`, told in a sentence of our own where people get it wrong most. An empty
/// message: a summary of findings that are reported themselves.
ConfigProblem schema_sentence(std::string pointer, std::string_view described, const JsonNode& schema,
                              const JsonNode& config);

}  // namespace weir
