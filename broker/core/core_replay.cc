// SPDX-License-Identifier: Apache-2.0
// A group that goes back, so that its stage works off again what it has consumed.
#include <fmt/format.h>

#include <algorithm>

#include "broker/core/core.h"

namespace weir::core {

using wire::Refusal;

std::optional<std::string> Core::why_no_replay(std::uint32_t stage, std::uint32_t stream) const {
  const StageSpec& spec = topology_.stages[stage];
  if (spec.resting || topology_.streams[stream].resting)
    return fmt::format("\"{}\" rests: it is in the data directory, and not in the topology",
                       spec.resting ? spec.name : topology_.streams[stream].name);
  if (spec.host != stage) {
    return fmt::format("stage \"{0}\" is fused to \"{1}\" and consumes with it: replay \"{1}\"", spec.name,
                       topology_.stages[spec.host].name);
  }
  const UnitState& unit = ledger_.units()[ledger_.unit_of(stage)];
  const auto at = unit.find(stream, 0);
  if (!at || unit.rests(unit.cursor(*at).input)) {
    return fmt::format("stage \"{}\" does not read the stream \"{}\"", spec.name, topology_.streams[stream].name);
  }
  if (is_direct(topology_.streams[stream].transport)) {
    return fmt::format("stream \"{}\" goes from worker to worker and keeps nothing that could be replayed",
                       topology_.streams[stream].name);
  }
  if (topology_.streams[stream].learns_boundaries) {
    return fmt::format(
        "stream \"{}\" has \"boundaries\": \"auto\": what was sent before they moved lies in other shards than the "
        "state "
        "of its keys; start over with --fresh",
        topology_.streams[stream].name);
  }
  const auto split = [&](std::uint32_t input) { return topology_.streams[input].hot_keys == weir::HotKeys::kSplit; };
  if (const auto found = std::ranges::find_if(unit.inputs(), split); found != unit.inputs().end()) {
    return fmt::format(
        "stage \"{}\" reads \"{}\", whose hot keys are split: partial results are on their way to other shards, and "
        "would come twice or be missing; start over with --fresh",
        spec.name, topology_.streams[*found].name);
  }
  if (draining_ || stopping_) return "the topology is stopping: replay when it runs again";
  // `finish` may have given out its results, and who reads them has finished too.
  for (std::uint32_t lane = 0; lane < unit.lanes.size(); ++lane) {
    if (lane_ended(unit, lane)) {
      return fmt::format(
          "stage \"{}\" has come to the end of its input, behind which nothing is processed again; start "
          "over with --fresh",
          spec.name);
    }
  }
  for (const std::uint32_t member : unit.stages()) {
    if (!ledger_.requeued(member).empty()) return "requeued records wait to be worked off: try again in a while";
    if (ledger_.parked_bytes(member) != 0) {
      return fmt::format(
          "stage \"{0}\" has parked records, which a replay would bring again: requeue or drop them "
          "first (`weir dead-letters list`)",
          topology_.stages[member].name);
    }
  }
  return std::nullopt;
}

bool Core::replay(const Client& client, const ReplayRequest& request, Monotonic now) {
  now_ = now;
  if (const auto why_not = why_no_replay(request.stage, request.stream)) {
    refuse(client, Refusal::kInvalid, *why_not);
    return true;
  }
  const std::uint32_t index = ledger_.unit_of(request.stage);
  const UnitState& unit = ledger_.units()[index];
  const StreamState& stream = ledger_.stream(request.stream);
  Replay replay;
  replay.stream = request.stream;
  replay.reset = request.reset;
  replay.from = request.from;
  std::uint64_t records = 0;
  for (std::uint32_t shard = 0; shard < replay.from.size(); ++shard) {
    Replay::From& from = replay.from[shard];
    const Cursor& cursor = unit.cursor(*unit.find(request.stream, shard));
    // A replay goes back; it skips nothing.
    if (from.offset >= cursor.offset) from = {cursor.offset, cursor.frame};
    if (from.offset < cursor.offset && from.frame < stream.first_frame()) return false;
    if (from.offset == cursor.offset) continue;
    records += cursor.offset - from.offset;
    // What other workers had committed ahead of it comes again too.
    for (const auto& [begin, end] : cursor.ahead) records += end - begin;
  }
  Sequence durable = ledger_.next_sequence();
  if (records != 0 || replay.reset) {
    durable = append({EntryType::kReplay, {}, request.stage, 0}, encode(replay), Durability::kFsync).plus(1);
    start_over(index);
  }
  wire::MapWriter answer("replayed");
  answer.put("records", records);
  letter_answers_.push_back({client, durable, std::move(answer).finish()});
  settle_letters();
  return true;
}

void Core::start_over(std::uint32_t index) {
  // The one path of every failure: who holds anything starts again, from what is committed.
  for (const Worker* worker : workers_of(index, false)) fence(worker->incarnation, "its stage is replayed");
  const UnitState& unit = ledger_.units()[index];
  UnitLeases& leases = leases_[index];
  leases.suspects.clear();
  leases.scan.assign(unit.inputs().size(), UINT64_MAX);
  for (std::uint32_t lane = 0; lane < leases.lanes.size(); ++lane) {
    for (std::size_t i = 0; i < leases.lanes[lane].flows.size(); ++i) {
      const Cursor& cursor = unit.lanes[lane].cursors[i];
      leases.lanes[lane].flows[i] = {};
      leases.lanes[lane].flows[i].delivered_to = cursor.offset;
      leases.lanes[lane].flows[i].walk.frame = cursor.frame;
      leases.scan[cursor.input] = std::min(leases.scan[cursor.input], cursor.frame);
    }
  }
  leases.dirty = true;
}

}  // namespace weir::core
