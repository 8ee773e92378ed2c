// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sdk/base/result.h"
#include "sdk/topology/diagnostic.h"
#include "sdk/topology/json_document.h"

namespace weir {

/// One `--set POINTER=VALUE`.
struct Setting {
  std::string pointer;
  std::string value;  ///< JSON if it parses, otherwise a string
};

/// Splits "POINTER=VALUE" at the first "=". Errors: kInvalid: no "=", or what precedes it is no JSON Pointer.
Result<Setting> parse_setting(std::string_view argument);

/// Applies `settings` to `root` in order, creating what is not there; what they touch has a place of their own.
/// Returns what could not be applied, each a diagnostic of the file "--set".
std::vector<Diagnostic> apply_settings(JsonNode& root, const std::vector<Setting>& settings);

}  // namespace weir
