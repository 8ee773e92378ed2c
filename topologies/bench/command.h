// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "topologies/launcher/commands/command_line.h"

namespace weir::bench {

/// Describes `weir bench` to the parser.
void add_bench(CLI::App& app, launcher::CommandLine& line);

}  // namespace weir::bench
