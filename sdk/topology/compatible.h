// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sdk/base/result.h"
#include "sdk/topology/topology.h"

namespace weir {

/// Whether `now` may run on the directory that `old` has written: nothing differs but description, http, libraries,
/// workers, memory, commit_after, deadline, max_backlog, on_error and broker other than segment_size. Errors: kRefused,
/// naming the first difference.
Status compatible(const Topology& old, const Topology& now);

}  // namespace weir
