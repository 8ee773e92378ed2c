// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sdk/topology/diagnostic.h"
#include "sdk/topology/load.h"
#include "sdk/topology/plugins.h"
#include "sdk/topology/settings.h"
#include "topologies/launcher/programs.h"

namespace weir::launcher {

/// A topology file with the plugins that it may use.
struct TopologyFile {
  std::optional<Topology> topology;  ///< absent where there are errors
  std::string resolved;              ///< as Loaded has it
  Plugins plugins;
  std::vector<Diagnostic> diagnostics;  ///< all that was found, in the file and in the libraries
  /// What its errors say is no mistake in the file: a library could not be described, and may hold what is missing.
  bool libraries_unknown = false;
};

/// Reads and checks `file`, having every stage library described first. That it cannot be read is a finding like
/// others.
TopologyFile load_topology_file(const std::string& file, const std::vector<Setting>& settings,
                                const Programs& programs);

/// All text of `file`. Errors, as what is to be said of it: kNotFound, kIo, kInvalid where it is too long for a
/// topology.
Result<std::string> read_text(const std::string& file);

/// Splits the --set arguments. Errors: kInvalid.
Result<std::vector<Setting>> parse_settings(const std::vector<std::string>& arguments);

/// Diagnostics on standard error, one a line.
void print(const std::vector<Diagnostic>& diagnostics);

}  // namespace weir::launcher
