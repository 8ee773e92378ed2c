// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "broker/journal/journal.h"
#include "sdk/topology/topology.h"

namespace weir::server {

/// What an entry of the journal says, for a person: {"what": "transaction", "stage": ..., "consumed": [...], ...}; an
/// entry that cannot be decoded says why under "problem". `topology` may be null: then stages and streams are numbers.
nlohmann::ordered_json entry_json(journal::EntryKind kind, BytesView payload, const Topology* topology);

/// The same as one line.
std::string entry_text(const nlohmann::ordered_json& entry);

}  // namespace weir::server
