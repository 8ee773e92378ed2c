// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "broker/core/ledger.h"
#include "broker/journal/journal.h"
#include "sdk/base/result.h"

namespace weir::server {

/// Brings a fresh `ledger` to where the journal ends: the checkpoint that recovery found, then every entry behind it.
/// The one way back, for the daemon, for a directory at rest and for the simulation. Errors: kCorrupt, kIo; then the
/// ledger must not be used.
Status replay(journal::Journal& journal, const journal::Recovery& found, core::Ledger& ledger);

}  // namespace weir::server
