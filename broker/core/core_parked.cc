// SPDX-License-Identifier: Apache-2.0
// Parked keys that a person wants worked off, and parked records that are to be dropped. The records are state of the
// lane's holder, so he is the one to do either; only of a lane that nobody holds, since it has finished or its stage
// rests, the broker drops itself.
#include <fmt/format.h>

#include <map>
#include <set>
#include <utility>

#include "broker/core/core.h"
#include "sdk/wire/changes.h"

namespace weir::core {

void Core::move_parked(const LetterRequest& request, LettersMove& move) {
  const std::uint64_t entry_bytes_max = topology_.broker.transaction_bytes_max / 2;
  for (std::size_t at = 0; at < request.found.size();) {
    // As with letters: one stage an entry, as much as fits.
    const std::uint32_t stage = request.found[at].stage;
    const UnitState& unit = ledger_.units()[ledger_.unit_of(stage)];
    using Key = std::pair<std::uint32_t, Bytes>;
    std::set<Key> waits;  // keys that are to be worked off anyway
    for (const auto& [number, wish] : ledger_.requeued(stage)) {
      if (wish.what == wire::Requeue::kParkedKey) waits.emplace(wish.lane, wish.key);
    }
    std::vector<Key> order;
    std::map<Key, Bytes> drops;
    std::map<std::uint32_t, Bytes> erased;
    std::uint64_t bytes = 0;
    for (; at < request.found.size() && request.found[at].stage == stage && bytes < entry_bytes_max; ++at) {
      const LetterFound& found = request.found[at];
      if (found.parked.empty()) continue;
      if (request.again) {
        if (auto why_not = why_not_again(found)) {
          move.refuse(std::move(*why_not));
          continue;
        }
      } else if (topology_.stages[stage].resting || found.lane >= unit.lanes.size() ||
                 unit.lanes[found.lane].finished) {
        wire::append_change(erased[found.lane], {wire::Space::kParked, found.parked, found.key, std::nullopt});
        bytes += found.parked.size() + found.key.size() + 64;
        ++move.moved;
        continue;
      } else if (lane_ended(unit, found.lane)) {
        move.refuse(fmt::format("{}: its shard is about to finish; say it again in a moment", found.id));
        continue;
      }
      ++move.moved;
      const Key key(found.lane, found.parked_key);
      if (request.again && waits.contains(key)) continue;
      bytes += found.parked_key.size() + found.parked.size() + 64;
      auto [drop, added] = drops.try_emplace(key);
      if (added) order.push_back(key);
      if (!request.again) drop->second.insert(drop->second.end(), found.parked.begin(), found.parked.end());
    }
    if (!erased.empty()) {
      LettersMoved moved;
      for (const auto& [lane, changes] : erased) moved.erased.push_back({lane, changes});
      move.durable = append({EntryType::kLetters, {}, stage, 0}, encode(moved), Durability::kFsync).plus(1);
    }
    if (order.empty()) continue;
    std::vector<ParkedAsked> asked;
    asked.reserve(order.size());
    for (const Key& key : order) asked.push_back({key.first, key.second, drops[key]});
    move.durable = append({EntryType::kParked, {}, stage, 0}, encode(asked), Durability::kFsync).plus(1);
  }
}

}  // namespace weir::core
