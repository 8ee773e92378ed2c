// SPDX-License-Identifier: Apache-2.0
#include "stages/host/lane_states.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "sdk/wire/changes.h"
#include "stages/host/lent_bytes.h"

namespace weir::host {

Result<std::optional<wire::LocalState>> LaneStates::expect(std::uint32_t lane) {
  awaited_[lane];
  if (chain_.local() == nullptr) return std::optional<wire::LocalState>();
  if (memory_ != nullptr) memory_->lift();
  auto lies_here = chain_.local()->open(lane);
  if (!lies_here.ok()) return lies_here.error();
  return std::optional(std::move(*lies_here));
}

void LaneStates::expect_ahead(std::uint32_t lane, std::uint32_t number) {
  drop_ahead(lane);
  ahead_[lane].number = number;
}

bool LaneStates::arrives() const {
  return !awaited_.empty() ||
         std::any_of(ahead_.begin(), ahead_.end(), [](const auto& entry) { return !entry.second.whole; });
}

Result<LaneStates::Taken> LaneStates::take(const wire::StatePart& part) {
  if (part.ahead != 0) {
    if (Status status = take_ahead(part); !status.ok()) return status.error();
    return Taken();
  }
  if (!part.on_top) drop_ahead(part.shard);
  const auto found = awaited_.find(part.shard);
  if (found == awaited_.end() || chain_.find(part.stage) == nullptr) {
    return {Code::kInvalid, "the broker sends state that this worker has no lease for"};
  }
  if (memory_ != nullptr) memory_->lift();
  if (chain_.local() != nullptr) return take_local(part);
  found->second.add(part.stage, part.changes);
  engine_.worked_off(part.changes.size(), 0);
  if (!part.last) return Taken();
  RestoredLane lane = std::move(found->second);
  awaited_.erase(found);
  if (auto came = ahead_.extract(part.shard)) {
    const bool loaded = came.mapped().loaded;
    const Result<bool> erases = lane.erases(wire::Space::kState);
    if (!erases.ok()) return erases.error();
    const bool goes_on = loaded && !*erases;
    if (goes_on) {
      if (Status status = load(lane, part.shard, wire::Space::kState); !status.ok()) return status.error();
    }
    came.mapped().lane.add(std::move(lane));
    lane = std::move(came.mapped().lane);
    if (goes_on) {
      if (Status status = load(lane, part.shard, wire::Space::kParked); !status.ok()) return status.error();
      return Taken();
    }
    if (loaded) drop(part.shard);
  }
  Taken taken;
  taken.whole = true;
  for (const auto& instance : chain_.instances()) {
    Status status = lane.visit(instance->stage(), [&](const wire::Change& change) -> Status {
      if (change.space == wire::Space::kState) return load(*instance, part.shard, change);
      if (change.space == wire::Space::kParked) return instance->parked().load(part.shard, change);
      if (change.space == wire::Space::kPosition) taken.position.assign(change.value->begin(), change.value->end());
      return {};
    });
    if (!status.ok()) return status.error();
  }
  return taken;
}

Status LaneStates::take_ahead(const wire::StatePart& part) {
  const auto found = ahead_.find(part.shard);
  if (found == ahead_.end() || found->second.number != part.ahead || chain_.find(part.stage) == nullptr)
    return {Code::kInvalid, "the broker sends state ahead of a lease that it has not told of"};
  if (memory_ != nullptr) memory_->lift();
  Ahead& ahead = found->second;
  ahead.lane.add(part.stage, part.changes);
  engine_.worked_off(part.changes.size(), 0);
  if (!part.last) return {};
  ahead.whole = true;
  ahead.loaded = loads_in_parts();
  if (ahead.loaded) {
    if (Status status = load(ahead.lane, part.shard, wire::Space::kState); !status.ok()) return status;
  }
  wire::Lease taken;
  taken.kind = wire::LeaseKind::kAhead;
  taken.shard = part.shard;
  taken.epoch = part.ahead;
  engine_.say_taken(taken);
  return {};
}

Result<LaneStates::Taken> LaneStates::take_local(const wire::StatePart& part) {
  LocalLanes& local = *chain_.local();
  if (Status status = local.add(part, engine_.durable().through.reign); !status.ok()) return status.error();
  engine_.worked_off(part.changes.size(), 0);
  if (!part.last) return Taken();
  awaited_.erase(part.shard);
  for (const auto& instance : chain_.instances()) {
    const auto load_each = [&](wire::Space space, const std::function<Status(const wire::Change&)>& each) {
      return local.visit(part.shard, instance->stage(), space, each);
    };
    Status status = load_each(wire::Space::kParked,
                              [&](const wire::Change& change) { return instance->parked().load(part.shard, change); });
    // A stage that keeps its state in memory, in a chain with one that does not.
    if (status.ok() && instance->local() == nullptr) {
      status = load_each(wire::Space::kState,
                         [&](const wire::Change& change) { return load(*instance, part.shard, change); });
    }
    if (!status.ok()) return status.error();
  }
  return Taken();
}

bool LaneStates::loads_in_parts() const {
  return std::all_of(chain_.instances().begin(), chain_.instances().end(), [](const auto& instance) {
    return !instance->typed_state() || (instance->plugin().flags & WEIR_FLAG_STATE_IN_PARTS) != 0;
  });
}

void LaneStates::drop_ahead(std::uint32_t lane) {
  const auto found = ahead_.find(lane);
  if (found == ahead_.end()) return;
  if (found->second.loaded) drop(lane);
  ahead_.erase(found);
}

Status LaneStates::load(const RestoredLane& from, std::uint32_t lane, wire::Space space) {
  for (const auto& instance : chain_.instances()) {
    Status status = from.visit(instance->stage(), [&](const wire::Change& change) -> Status {
      if (change.space != space) return {};
      return space == wire::Space::kParked ? instance->parked().load(lane, change) : load(*instance, lane, change);
    });
    if (!status.ok()) return status;
  }
  return {};
}

Status LaneStates::load(Instance& instance, std::uint32_t lane, const wire::Change& change) {
  if (!instance.typed_state()) {
    instance.store().load(lane, change);
    return {};
  }
  instance.context()->shard = lane;
  const auto turn = chain_.at_work().call(wire::Doing::kRestore, instance.stage());
  if (instance.plugin().state_load(instance.self(), instance.context(), lend(change.name), lend(change.key),
                                   lend(*change.value)) == WEIR_OK) {
    return {};
  }
  return {Code::kRefused, "stage \"" + instance.spec().name + "\" cannot read its state: " + instance.take_failure()};
}

void LaneStates::drop(std::uint32_t lane) {
  for (const auto& instance : chain_.instances()) {
    if (instance->plugin().kind == WEIR_KIND_SINK) continue;
    if (instance->plugin().state_drop != nullptr) {
      const auto turn = chain_.at_work().call(wire::Doing::kClose, instance->stage());
      instance->plugin().state_drop(instance->self(), lane);
    } else {
      instance->store().drop(lane);
    }
  }
}

void LaneStates::ask_back(std::uint32_t lane) {
  awaited_.erase(lane);
  for (const auto& instance : chain_.instances()) instance->parked().drop(lane);
  if (chain_.local() == nullptr) return;
  drop(lane);
  chain_.local()->drop(lane);
}

void LaneStates::let_go(std::uint32_t lane) {
  if (chain_.local() == nullptr) drop(lane);
}

}  // namespace weir::host
