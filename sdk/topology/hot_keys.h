// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sdk/topology/topology.h"

// "hot_keys": "split" on a stream `words` that a stage `count` reads becomes two more streams, which go with the shards
// of `words`: shard i of all three is one lease.
//
//     words.hot        records of keys that have more than their share, dealt over all shards
//     count.partials   what a worker of `count` has made of them, sent on to the key's own shard; a loop
//
// A record of `words` lies in its key's shard whoever sends it, and is processed there as ever. A record of `words.hot`
// is processed wherever it lies, into state that ends with the transaction: what is there of each key then goes, in the
// same transaction, to `count.partials`, and is merged into the key's state in the key's own shard. So it does not
// matter to the result who took which key for hot, and no state that is committed is ever a partial one.

namespace weir {

/// Weir has added it, no person wrote it.
constexpr bool is_added(const Stream& stream) {
  return stream.hot_keys == HotKeys::kShared || stream.hot_keys == HotKeys::kPartials;
}

/// Names that no person can give: no name holds a dot.
std::string shared_part_name(std::string_view stream);
std::string partials_name(std::string_view stage);

/// By index: the second stream of one whose hot keys are split. Nothing: it has none.
std::optional<std::uint32_t> shared_part(const Topology& topology, const Stream& stream);
/// By index: the stream for partial results of a stage. Nothing: it has none.
std::optional<std::uint32_t> partials_of(const Topology& topology, const StageSpec& stage);

/// Adds the streams, behind all others, and joins them. REQUIRES: check_rules found no error, and once.
void add_hot_key_streams(Topology& topology);

}  // namespace weir
