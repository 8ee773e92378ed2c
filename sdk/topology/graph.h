// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sdk/topology/topology.h"

namespace weir {

/// The topology as a Mermaid flow chart: stages are boxes (sources and sinks rounded), streams the arrows between them.
std::string to_mermaid(const Topology& topology);

/// The same in Graphviz' language.
std::string to_dot(const Topology& topology);

}  // namespace weir
