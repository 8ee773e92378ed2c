// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "broker/server/journal_reader.h"
#include "sdk/topology/topology.h"

namespace weir::server {

/// The dead letters of `parts` as the JSON array of `weir dead-letters list --json`.
Result<std::string> letters_json(JournalReader& reader, const std::vector<core::RestoreJob::Part>& parts,
                                 const Topology& topology);

}  // namespace weir::server
