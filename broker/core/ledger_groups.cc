// SPDX-License-Identifier: Apache-2.0
// Groups outside the topology: when they come, how far they have acknowledged, when they go.
#include <algorithm>

#include "broker/core/ledger.h"

namespace weir::core {
namespace {

ExternalGroup make_group(const StreamState& stream) {
  ExternalGroup group;
  group.cursors.resize(stream.shards());
  for (std::uint32_t shard = 0; shard < stream.shards(); ++shard) group.cursors[shard].offset = stream.kept_from(shard);
  return group;
}

}  // namespace

bool Ledger::read_by_stage(std::uint32_t stream) const {
  return std::any_of(units_.begin(), units_.end(), [&](const UnitState& unit) {
    const auto at = unit.find(stream, 0);
    return at && !unit.rests(unit.cursor(*at).input);
  });
}

void Ledger::refresh_unclaimed(std::uint32_t stream) {
  const Stream& spec = topology_.streams[stream];
  ExternalGroups& groups = groups_[stream];
  const bool named = std::any_of(groups.begin(), groups.end(), [](const auto& each) { return !each.first.empty(); });
  if (!spec.external_out || spec.resting || named || read_by_stage(stream)) {
    groups.erase(kUnclaimed);
  } else if (groups.empty()) {
    groups.emplace(kUnclaimed, make_group(streams_[stream]));
  }
  count_backlog(stream);
}

void Ledger::count_backlog(std::uint32_t stream) {
  for (auto& [name, group] : groups_[stream]) {
    group.records_backlog = 0;
    for (std::uint32_t shard = 0; shard < streams_[stream].shards(); ++shard)
      group.records_backlog += streams_[stream].next_offset(shard) - group.cursors[shard].offset;
  }
}

bool Ledger::consumed_outside() const {
  for (std::uint32_t stream = 0; stream < streams_.size(); ++stream) {
    const Stream& spec = topology_.streams[stream];
    if (!spec.external_out || spec.resting) continue;
    if (!streams_[stream].ended) return false;
    for (const auto& [name, group] : groups_[stream]) {
      if (group.records_backlog != 0) return false;
    }
  }
  return true;
}

std::string Ledger::apply_group(const GroupMoved& moved) {
  if (moved.stream >= streams_.size() || !topology_.streams[moved.stream].external_out)
    return "is about a group of a stream that no group outside reads";
  StreamState& state = streams_[moved.stream];
  ExternalGroups& groups = groups_[moved.stream];
  const auto found = groups.find(moved.group);
  if (moved.group.empty() || (moved.what == GroupMoved::What::kEntered) != (found == groups.end()))
    return "is about a group that is not there, or enters one that is";
  switch (moved.what) {
    case GroupMoved::What::kEntered: {
      if (moved.to.size() != state.shards()) return "enters a group with another number of shards";
      ExternalGroup group = make_group(state);
      for (const GroupMoved::To& to : moved.to) {
        if (to.shard >= state.shards() || to.offset < kept_from(moved.stream, to.shard) ||
            to.offset > state.next_offset(to.shard))
          return "enters a group at records that there are not";
        group.cursors[to.shard].offset = to.offset;
      }
      // What nobody had come for lies no earlier.
      if (const auto unclaimed = groups.find(kUnclaimed); unclaimed != groups.end()) {
        for (std::uint32_t shard = 0; shard < state.shards(); ++shard)
          group.cursors[shard].frame = unclaimed->second.cursors[shard].frame;
      }
      groups.emplace(moved.group, std::move(group));
      break;
    }
    case GroupMoved::What::kConsumed: {
      ExternalGroup& group = found->second;
      for (const GroupMoved::To& to : moved.to) {
        if (to.shard >= state.shards() || to.offset < group.cursors[to.shard].offset ||
            to.offset > state.next_offset(to.shard))
          return "acknowledges what its group cannot";
        group.records_backlog -= to.offset - group.cursors[to.shard].offset;
        group.cursors[to.shard].offset = to.offset;
      }
      if (state.ended && group.records_backlog == 0) refresh_ends();
      return "";
    }
    case GroupMoved::What::kDropped:
      groups.erase(found);
      // What only it had waited for is let go; where somebody else reads on, that one's cursor says what is kept.
      if (groups.empty() && !read_by_stage(moved.stream)) {
        for (std::uint32_t shard = 0; shard < state.shards(); ++shard)
          state.raise_kept_from(shard, state.next_offset(shard));
      }
      break;
  }
  refresh_unclaimed(moved.stream);
  refresh_ends();
  return "";
}

}  // namespace weir::core
