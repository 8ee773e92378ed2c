// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "broker/core/core.h"
#include "broker/server/journal_reader.h"
#include "sdk/topology/topology.h"

namespace weir::server {

/// What the core wants to know of a letter that was read. `again`: its record is to be worked on again.
core::LetterFound letter_found(const JournalReader::Letter& letter, const Topology& topology, bool again);

}  // namespace weir::server
