// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sdk/topology/diagnostic.h"
#include "sdk/topology/plugins.h"
#include "sdk/topology/settings.h"
#include "sdk/topology/substitute.h"
#include "sdk/topology/topology.h"

namespace weir {

/// What became of a topology file.
struct Loaded {
  std::optional<Topology> topology;  ///< absent where there are errors
  std::string resolved;              ///< the file with --set applied and defaults filled in, as JSON text for people;
                                     ///< `${...}` as written, so that it shows no secret. "" where there are errors
  std::vector<Diagnostic> diagnostics;  ///< all errors and warnings, by line
};

/// The first look at a file: its `libraries`, absolute, so that the launcher can have each described before it loads
/// the topology. What is wrong with the file is left to load_topology; then the list is what could be read. `file` is
/// its path as given, relative to the working directory.
std::vector<std::string> read_libraries(const std::string& file, std::string_view text,
                                        const std::vector<Setting>& settings, const Environment& environment);

/// Reads and checks a whole topology file (TOPOLOGY.md). Never throws, whatever the text.
Loaded load_topology(const std::string& file, std::string_view text, const std::vector<Setting>& settings,
                     const Plugins& plugins, const Environment& environment);

}  // namespace weir
