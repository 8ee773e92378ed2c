// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "stages/host/library.h"

namespace weir::host {

/// What `weir-stage --describe` prints: {"library", "plugins": [...]} (sdk/topology/plugins.h reads it).
/// Errors: kRefused where a schema is no JSON.
Result<std::string> describe(const Library& library);

}  // namespace weir::host
