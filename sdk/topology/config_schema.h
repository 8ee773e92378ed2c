// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sdk/topology/json_document.h"

namespace weir {

struct ConfigProblem {
  std::string pointer;  ///< from the configuration's root
  std::string message;
};

/// Everything in which `config` does not obey `schema`, a JSON Schema (draft-07). A schema that is none itself is one
/// problem at "". Never throws.
std::vector<ConfigProblem> check_config(const JsonNode& config, const JsonNode& schema);

/// Whether `config` obeys `schema`; false for a schema that is none.
bool config_matches(const JsonNode& config, const JsonNode& schema);

}  // namespace weir
