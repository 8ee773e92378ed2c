// SPDX-License-Identifier: Apache-2.0
#include "broker/core/unit_state.h"

#include <algorithm>

#include "sdk/base/check.h"

namespace weir::core {

UnitState::UnitState(const Topology& topology, std::uint32_t stage)
    : stage_(stage), resting_(topology.stages[stage].resting) {
  const StageSpec& head = topology.stages[stage];
  stages_.push_back(stage);
  // A fused stream has one producer and one consumer, so following them from the head gives the order of the flow.
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    for (const PortBinding& output : topology.stages[stages_[i]].outputs) {
      if (topology.streams[output.stream].transport != Transport::kFused) {
        if (std::find(outputs_.begin(), outputs_.end(), output.stream) == outputs_.end())
          outputs_.push_back(output.stream);
        continue;
      }
      for (std::uint32_t next = 0; next < topology.stages.size(); ++next) {
        if (topology.stages[next].resting != resting_) continue;
        for (const PortBinding& input : topology.stages[next].inputs) {
          if (input.stream == output.stream && !has(next)) stages_.push_back(next);
        }
      }
    }
  }
  bool partitioned = false;
  for (const PortBinding& input : head.inputs) {
    if (std::find(inputs_.begin(), inputs_.end(), input.stream) == inputs_.end()) {
      inputs_.push_back(input.stream);
      inputs_resting_.push_back(input.resting);
      inputs_coming_back_.push_back(topology.streams[input.stream].loop);
    }
    partitioned |= topology.streams[input.stream].partition != PartitionBy::kNone;
  }
  for (const std::uint32_t member : stages_) {
    const StageSpec& spec = topology.stages[member];
    sink_ |= spec.kind == PluginKind::kSink;
    single_ |= spec.kind == PluginKind::kSink && spec.sharing == Sharing::kSingle;
    keeps_state_ |= spec.keyed || spec.then == OnErrorThen::kParkKey;
  }
  if (head.kind == PluginKind::kSource) {
    intake_ = Intake::kSplits;
    return;
  }
  intake_ = partitioned || sink_ || keeps_state_ ? Intake::kShards : Intake::kRanges;
  for (std::uint32_t input = 0; input < inputs_.size(); ++input) {
    const std::uint32_t shards = topology.streams[inputs_[input]].shards;
    first_lanes_.push_back(intake_ == Intake::kRanges ? static_cast<std::uint32_t>(lanes.size()) : 0);
    const std::size_t lanes_needed = first_lanes_.back() + shards;
    if (lanes.size() < lanes_needed) lanes.resize(lanes_needed);
    for (std::uint32_t shard = 0; shard < shards; ++shard) {
      Cursor cursor;
      cursor.input = input;
      cursor.shard = shard;
      lanes[first_lanes_.back() + shard].cursors.push_back(std::move(cursor));
    }
  }
}

const Relocation::Barrier* Relocation::barrier(std::uint32_t shard) const {
  const auto found = std::lower_bound(barriers.begin(), barriers.end(), shard,
                                      [](const Barrier& each, std::uint32_t at) { return each.shard < at; });
  return found == barriers.end() || found->shard != shard ? nullptr : &*found;
}

bool UnitState::at_barriers() const {
  return std::all_of(relocation->barriers.begin(), relocation->barriers.end(), [&](const Relocation::Barrier& barrier) {
    const auto at = find(relocation->stream, barrier.shard);
    // Whoever emits nothing has no event time, and an end of it is told as the stream's end is.
    const bool in_time = outputs_.empty() || relocation->watermark == INT64_MAX ||
                         lanes[barrier.shard].advanced >= relocation->watermark;
    return at && cursor(*at).offset >= barrier.offset && in_time;
  });
}

void UnitState::take_over(UnitState&& before) {
  WEIR_CHECK(before.intake_ == intake_, "a stage takes its input as it did, or the change was refused");
  enumeration_ended = before.enumeration_ended;
  begun = before.begun;
  relocation = std::move(before.relocation);
  if (lanes.size() < before.lanes.size()) lanes.resize(before.lanes.size());
  for (std::size_t number = 0; number < before.lanes.size(); ++number) {
    Lane& lane = lanes[number];
    Lane& old = before.lanes[number];
    std::vector<Cursor> cursors = std::move(lane.cursors);
    for (Cursor& cursor : old.cursors) {
      const auto same = std::find_if(cursors.begin(), cursors.end(), [&](const Cursor& each) {
        return inputs_[each.input] == before.inputs_[cursor.input] && each.shard == cursor.shard;
      });
      WEIR_CHECK(same != cursors.end(), "what a group has read stays at its lane");
      cursor.input = same->input;
      *same = std::move(cursor);
    }
    lane = std::move(old);
    lane.cursors = std::move(cursors);
  }
}

bool UnitState::has(std::uint32_t stage) const {
  return std::find(stages_.begin(), stages_.end(), stage) != stages_.end();
}

std::optional<UnitState::Place> UnitState::find(std::uint32_t stream, std::uint32_t shard) const {
  const auto input = std::find(inputs_.begin(), inputs_.end(), stream);
  if (input == inputs_.end() || intake_ == Intake::kSplits) return std::nullopt;
  const auto index = static_cast<std::uint32_t>(input - inputs_.begin());
  const std::uint32_t lane = first_lanes_[index] + shard;
  if (lane >= lanes.size()) return std::nullopt;
  const auto& cursors = lanes[lane].cursors;
  for (std::uint32_t i = 0; i < cursors.size(); ++i) {
    if (cursors[i].input == index && cursors[i].shard == shard) return Place{lane, i};
  }
  return std::nullopt;
}

std::uint32_t UnitState::workers_max() const {
  if (single_) return 1;
  return intake_ == Intake::kShards ? std::min(static_cast<std::uint32_t>(lanes.size()), kWorkersMax) : kWorkersMax;
}

void UnitState::add_splits(const std::vector<std::string>& ids) {
  for (const std::string& id : ids) {
    const auto same = [&](const Lane& lane) { return lane.split == id; };
    if (std::any_of(lanes.begin(), lanes.end(), same)) continue;
    Lane lane;
    lane.split = id;
    lanes.push_back(std::move(lane));
  }
}

bool UnitState::consume(Place place, std::uint64_t from, std::uint64_t to) {
  Cursor& at = cursor(place);
  if (from < at.offset) return false;
  const auto next = at.ahead.lower_bound(from);
  if (next != at.ahead.end() && next->first < to) return false;
  if (next != at.ahead.begin() && std::prev(next)->second > from) return false;
  if (from > at.offset) {
    at.ahead.emplace(from, to);
    return true;
  }
  at.offset = to;
  while (!at.ahead.empty() && at.ahead.begin()->first == at.offset) {
    at.offset = at.ahead.begin()->second;
    at.ahead.erase(at.ahead.begin());
  }
  return true;
}

Timestamp UnitState::advanced_min() const {
  if (intake_ == Intake::kSplits && (lanes.empty() || !enumeration_ended)) {
    // Splits that are not known yet hold back event time too; an empty source has no earlier records to come.
    if (!(lanes.empty() && enumeration_ended)) return INT64_MIN;
  }
  Timestamp least = INT64_MAX;
  for (const Lane& lane : lanes) {
    // Of an input that is no longer read nothing is emitted, and what comes round a loop holds nothing back.
    const bool silent =
        lane.finished ||
        (!lane.cursors.empty() && std::all_of(lane.cursors.begin(), lane.cursors.end(), [&](const Cursor& cursor) {
          return rests(cursor.input) || comes_back(cursor.input);
        }));
    least = std::min(least, silent ? INT64_MAX : lane.advanced);
  }
  return least;
}

}  // namespace weir::core
