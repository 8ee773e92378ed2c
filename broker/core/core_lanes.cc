// SPDX-License-Identifier: Apache-2.0
// Unkeyed streams that are dispatched by priority: each shard is a lane, and is walked by itself.
#include <algorithm>

#include "broker/core/core.h"
#include "broker/core/delivery.h"
#include "sdk/wire/batch.h"

namespace weir::core {

namespace {

/// Small, so that what is urgent waits behind little; below, each range costs more than it carries.
constexpr std::size_t kLaneRangeBytes = 32 << 10;

}  // namespace

bool Core::by_priority(const UnitState& unit, std::uint32_t input) const {
  return unit.intake() == Intake::kRanges && topology_.streams[unit.inputs()[input]].dispatch == Dispatch::kPriority;
}

Core::InLane Core::find_in_lane(std::uint32_t index, std::uint32_t lane) {
  const UnitState& unit = ledger_.units()[index];
  const Cursor& cursor = unit.lanes[lane].cursors.front();
  LaneLease::Flow& flow = leases_[index].lanes[lane].flows.front();
  LaneLease::Walk& walk = flow.walk;
  const std::uint32_t stream = unit.inputs()[cursor.input];
  StreamState& state = ledger_.stream(stream);
  if (walk.found()) return InLane::kRange;
  if (walk.frame < state.first_frame()) walk = {state.first_frame()};
  while (walk.frame < state.end_frame()) {
    if (std::max(flow.delivered_to, cursor.offset) >= state.next_offset(cursor.shard)) {
      walk = {state.end_frame()};  // what lies there is the other lanes'
      break;
    }
    if (!state.slot(walk.frame).may_hold(cursor.shard)) {
      walk = {walk.frame + 1};
      continue;
    }
    if (sends_to_peers(unit) && state.slot(walk.frame).sequence >= settled_) return InLane::kNothing;
    const Buffer* bytes = frame_bytes(stream, walk.frame);
    if (bytes == nullptr) return InLane::kUnread;
    const auto view = wire::FrameView::parse(bytes->bytes);
    WEIR_CHECK(view.ok(), "a journaled frame was judged before it was journaled");
    std::size_t at = view->batches_start();
    for (std::uint32_t i = 0; i < view->header().batches; ++i) {
      const wire::BatchHeader batch = view->batch(i);
      const BytesView all = view->bytes().subspan(at, batch.bytes);
      at += batch.bytes;
      const std::uint64_t end = batch.offset + batch.count;
      if (batch.shard != cursor.shard || end <= walk.offset) continue;
      if (walk.batch != batch.offset) walk = {walk.frame, batch.offset, batch.offset, 0, 0, 0};
      const bool packed = batch.compression != 0;  // goes as a whole, as in deliver_ranges
      wire::BatchReader reader(packed ? BytesView() : all.subspan(walk.from_byte));
      const std::size_t begin = walk.from_byte;
      while (walk.offset < end) {
        // As in deliver_ranges: past what was sent, and what a former life committed ahead.
        const auto ahead = cursor.ahead.upper_bound(walk.offset);
        const bool inside = ahead != cursor.ahead.begin() && std::prev(ahead)->second > walk.offset;
        const std::uint64_t skip_to =
            std::max({flow.delivered_to, cursor.offset, inside ? std::prev(ahead)->second : 0});
        if (walk.offset < skip_to) {
          for (; walk.offset < std::min(skip_to, end); ++walk.offset) reader.next();
          walk.from_byte = begin + reader.position();
          continue;
        }
        const bool leads = cursor.ahead.empty() || walk.offset > cursor.ahead.rbegin()->first;
        if (leads && cursor.ahead.size() >= kAheadMax) return InLane::kNothing;
        const std::uint64_t stop = std::min(end, ahead != cursor.ahead.end() ? ahead->first : end);
        walk.to = packed ? stop : walk.offset;
        while (walk.to < stop && begin + reader.position() - walk.from_byte < kLaneRangeBytes && reader.next())
          ++walk.to;
        walk.to_byte = packed ? all.size() : begin + reader.position();
        // A batch that holds fewer records than it says goes on as it is: the worker says so.
        if (walk.to == walk.offset) walk.to = stop, walk.to_byte = all.size();
        return InLane::kRange;
      }
    }
    walk = {walk.frame + 1};
  }
  return InLane::kNothing;
}

void Core::deliver_lanes(std::uint32_t index, std::uint32_t input) {
  const UnitState& unit = ledger_.units()[index];
  UnitLeases& leases = leases_[index];
  const std::uint32_t stream = unit.inputs()[input];
  const std::uint32_t first = unit.find(stream, 0)->lane;
  std::vector<bool> has(topology_.streams[stream].shards);
  while (true) {
    for (std::uint32_t shard = 0; shard < has.size(); ++shard)
      has[shard] = find_in_lane(index, first + shard) != InLane::kNothing;
    const auto turn = leases.turns[input].next(has);
    if (!turn) break;
    LaneLease::Flow& flow = leases.lanes[first + *turn].flows.front();
    LaneLease::Walk& walk = flow.walk;
    // It is this lane's turn: while its bytes are read back the others wait, or what is not urgent would go first
    // behind a start, and a lane that is always behind might starve.
    const Buffer* bytes = frame_bytes(stream, walk.frame);
    if (bytes == nullptr || !walk.found()) break;
    const auto view = wire::FrameView::parse(bytes->bytes);
    Piece piece;
    std::size_t at = view->batches_start();
    for (std::uint32_t i = 0; i < view->header().batches; ++i) {
      const wire::BatchHeader each = view->batch(i);
      const BytesView all = view->bytes().subspan(at, each.bytes);
      at += each.bytes;
      if (each.shard != *turn || each.offset != walk.batch) continue;
      if (each.compression != 0) {
        piece = Delivery::cut(each, all, walk.offset, walk.to);
        continue;
      }
      piece.batch = each;
      piece.batch.offset = walk.offset;
      piece.batch.count = static_cast<std::uint32_t>(walk.to - walk.offset);
      piece.bytes = all.subspan(walk.from_byte, walk.to_byte - walk.from_byte);
    }
    const std::uint64_t records = walk.to - walk.offset;
    Worker* worker = choose(index, piece.bytes.size(), records, Dispatch::kPriority);
    if (worker == nullptr) break;
    Delivery delivery;
    delivery.add(stream, piece, view->header().watermark);
    const LaneLease::Sent sent{walk.offset, walk.to, walk.frame, worker->incarnation, false};
    const bool fresh = flow.ranges.emplace(walk.offset, sent).second;
    WEIR_CHECK(fresh && unit.lanes[first + *turn].cursors.front().offset <= walk.offset,
               "a range is under way once, and not yet committed");
    flow.delivered_to = walk.to;
    walk = {walk.frame, walk.batch, walk.to, piece.batch.compression != 0 ? 0 : walk.to_byte, 0, 0};
    flush(*worker, delivery);
    leases.turns[input].served(*turn, records);
  }
  // What the slowest lane has not looked at is still wanted.
  leases.scan[input] = UINT64_MAX;
  for (std::uint32_t shard = 0; shard < has.size(); ++shard) {
    const std::uint64_t frame = leases.lanes[first + shard].flows.front().walk.frame;
    leases.scan[input] = std::min(leases.scan[input], frame);
  }
}

}  // namespace weir::core
