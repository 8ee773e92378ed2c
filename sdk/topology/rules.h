// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sdk/topology/draft.h"
#include "sdk/topology/report.h"

namespace weir {

/// What the fields of a topology must say together (TOPOLOGY.md, "Rules"), and the hosts of fused stages, which are
/// filled in. Reports errors, and warnings where there is no error.
void check_rules(Draft& draft, Report& report);

/// Where a guarantee weakens or workers would idle. REQUIRES: check_rules found no error.
void check_warnings(const Draft& draft, Report& report);

/// Streams that go from worker to worker: errors and warnings. REQUIRES: the other rules found no error.
void check_direct_streams(const Draft& draft, Report& report);

/// Streams whose hot keys are split: errors and warnings. REQUIRES: as above.
void check_hot_keys(const Draft& draft, Report& report);

/// Streams whose boundaries are learned, which their readers must bear to see move. REQUIRES: as above.
void check_learned_boundaries(const Draft& draft, Report& report);

}  // namespace weir
