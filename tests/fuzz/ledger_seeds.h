// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "broker/core/ledger.h"
#include "sdk/topology/topology.h"

namespace weir::fuzz {

/// A source, a stage with state that parks keys and reads its records and those of a producer outside, a stage without
/// keys, and a sink.
Topology ledger_topology();
/// Whether a resolved topology is worth its time: many shards are slow, and find nothing else. What is none is.
bool is_small(std::string_view resolved);
/// Payloads of the entries of a short life of that topology, one of each kind, as the broker writes them.
std::vector<Bytes> ledger_entries();
/// Applies entry by entry as a start does; stops at the first that is refused.
Status replay(core::Ledger& ledger, const std::vector<Bytes>& entries);
/// The ledger encoded, read into one that begins with `expected`, and encoded again: the same.
void check_encoding(const core::Ledger& ledger, const Topology& expected);
/// Everything that a broker looks up at its start leads somewhere.
void look_around(core::Ledger& ledger);

}  // namespace weir::fuzz
