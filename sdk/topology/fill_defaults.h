// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sdk/topology/json_document.h"
#include "sdk/topology/topology.h"

namespace weir {

/// The file as resolved: `root` with every built default of kFields filled in, paths absolute, all else as written,
/// `${...}` too. `topology` is what was read from it, without errors. JSON text for people.
std::string fill_defaults(JsonNode root, const Topology& topology);

}  // namespace weir
