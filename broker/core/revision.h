// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "broker/core/ledger.h"

namespace weir::core {

/// What a topology that differs from the journal's means for the directory.
struct Revision {
  Topology topology;                   ///< the wanted one under the journal's numbers; see sdk/topology/revise.h
  std::vector<std::string> sentences;  ///< what a person should know: who rests, who is back, where who is new starts
};

/// Whether work can go on under `wanted` behind what the ledger holds. Errors: kRefused with the reason and what to do:
/// a stage is back and its records are gone; state, positions or splits were made by another plugin or configuration; a
/// stage would take its input another way; a stream that has ended would get records, or a stage that has seen the end
/// another input.
Result<Revision> plan_revision(const Ledger& ledger, const Topology& wanted);

}  // namespace weir::core
