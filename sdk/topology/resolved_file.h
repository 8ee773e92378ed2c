// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "sdk/base/result.h"
#include "sdk/topology/topology.h"

namespace weir {

/// The resolved file: how the launcher hands a checked topology to broker and workers, so that neither needs plugins or
/// the topology file to know it. JSON; `${...}` of configurations stays as written. Its form may change with the
/// version in it (TOPOLOGY.md, "The resolved file").
inline constexpr int kResolvedVersion = 1;

std::string encode_resolved(const Topology& topology);
/// The same in one line, for the journal.
std::string encode_resolved_briefly(const Topology& topology);

/// The inverse. Errors: kInvalid: no JSON, another version, a field missing, unknown or out of range, an index that
/// leads nowhere.
Result<Topology> decode_resolved(std::string_view json);

}  // namespace weir
