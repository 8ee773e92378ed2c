// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sdk/topology/boundary.h"

namespace weir::core {

/// Where boundaries should stand, by a sample of keys in rising order, and which one moves next. Knows nothing but its
/// arguments.

/// Boundaries of `shards` shards that have as even a part of the sample as keys, which are never divided, let them.
/// Some may be equal: the shard between them is empty. REQUIRES: the sample is not empty, and there are two shards at
/// least.
std::vector<Boundary> even_boundaries(const std::vector<Boundary>& sample, std::uint32_t shards);

/// How many of the sample lie in each shard. REQUIRES: there are boundaries.
std::vector<std::uint64_t> counts_of(const std::vector<Boundary>& sample, const std::vector<Boundary>& boundaries);

/// The boundaries after one of them has moved between its neighbours towards where it should stand: that which brings
/// most records to another shard. Nothing: the busiest shard has not so much more than it need have, or no move is
/// worth it, by more than chance makes of a sample of this size.
std::optional<std::vector<Boundary>> next_boundaries(const std::vector<Boundary>& sample,
                                                     const std::vector<Boundary>& boundaries);

}  // namespace weir::core
