// SPDX-License-Identifier: Apache-2.0
// Boundaries that a stream learns: when they move, and how its groups follow.
#include <fmt/format.h>

#include <algorithm>

#include "broker/core/ledger.h"
#include "sdk/wire/changes.h"

namespace weir::core {
namespace {

/// The keys of a shard, from `first` on and before `end`; null: no end on that side.
struct Keys {
  const Boundary* first = nullptr;
  const Boundary* end = nullptr;
  bool none = false;  ///< before anything is learned all lie in shard 0
};

Keys keys_of(const std::vector<Boundary>& boundaries, std::uint32_t shard) {
  if (boundaries.empty()) return {nullptr, nullptr, shard != 0};
  Keys keys;
  if (shard != 0) keys.first = &boundaries[shard - 1];
  if (shard < boundaries.size()) keys.end = &boundaries[shard];
  keys.none = keys.first != nullptr && keys.end != nullptr && !is_before(*keys.first, *keys.end);
  return keys;
}

bool same(const Boundary* a, const Boundary* b) {
  if (a == nullptr || b == nullptr) return a == b;
  return !is_before(*a, *b) && !is_before(*b, *a);
}

bool same(const Keys& a, const Keys& b) {
  return (a.none && b.none) || (a.none == b.none && same(a.first, b.first) && same(a.end, b.end));
}

/// Every key of `inner` is one of `outer`.
bool within(const Keys& inner, const Keys& outer) {
  if (inner.none || outer.none) return inner.none;
  const bool first = outer.first == nullptr || (inner.first != nullptr && !is_before(*inner.first, *outer.first));
  const bool end = outer.end == nullptr || (inner.end != nullptr && !is_before(*outer.end, *inner.end));
  return first && end;
}

}  // namespace

bool Ledger::boundaries_rest(std::uint32_t stream) const {
  return std::none_of(units_.begin(), units_.end(), [&](const UnitState& unit) {
    const auto at = unit.find(stream, 0);
    return at && ((unit.relocation && unit.relocation->stream == stream) ||
                  (unit.begun && unit.rests(unit.cursor(*at).input)));
  });
}

std::string Ledger::contradiction_of(const Stream& spec, const std::vector<Boundary>& boundaries) {
  if (boundaries.empty()) return "";
  if (!spec.learns_boundaries) return "moves boundaries that stand in the topology";
  if (boundaries.size() + 1 != spec.shards) return "has other boundaries than shards";
  for (std::size_t i = 1; i < boundaries.size(); ++i) {
    if (is_before(boundaries[i], boundaries[i - 1])) return "has boundaries that fall";
  }
  return "";
}

std::string Ledger::apply_boundaries(BoundariesMoved moved) {
  if (moved.stream >= streams_.size()) return "moves boundaries of an unknown stream";
  const Stream& spec = topology_.streams[moved.stream];
  if (moved.boundaries.empty() || !spec.learns_boundaries) return "moves boundaries of a stream that has none";
  if (std::string wrong = contradiction_of(spec, moved.boundaries); !wrong.empty()) return wrong;
  if (!boundaries_rest(moved.stream)) return "moves boundaries before all groups have followed the last move";
  StreamState& stream = streams_[moved.stream];
  Relocation relocation;
  relocation.stream = moved.stream;
  relocation.watermark = stream.watermark();
  for (std::uint32_t shard = 0; shard < spec.shards; ++shard) {
    const Keys before = keys_of(stream.boundaries, shard);
    const Keys after = keys_of(moved.boundaries, shard);
    if (same(before, after)) continue;
    relocation.barriers.push_back({shard, stream.next_offset(shard), !within(before, after)});
  }
  relocation.before = stream.boundaries;
  const bool first_time = stream.boundaries.empty();
  if (!first_time && relocation.barriers.size() > 2) return "moves boundaries of more than two neighbours";
  stream.boundaries = std::move(moved.boundaries);
  ++stream.boundary_moves;
  // Before the first record there is nothing to wait for. Later there may be, also in shards that never had one: state
  // that has come there by an earlier move.
  if (stream.records_total() == 0) return "";
  for (UnitState& unit : units_) {
    const auto at = unit.find(relocation.stream, 0);
    if (at && !unit.rests(unit.cursor(*at).input)) unit.relocation = relocation;
  }
  return "";
}

std::string Ledger::apply_relocated(Sequence sequence, std::uint32_t stage, const Relocated& relocated,
                                    const Buffer& payload, Place place) {
  if (stage >= topology_.stages.size() || topology_.stages[stage].host != stage)
    return "relocates state of an unknown group";
  UnitState& unit = units_[unit_of_[stage]];
  if (!unit.relocation) return "relocates state of a group whose boundaries have not moved";
  for (const Relocated::Changes& changes : relocated.changes) {
    if (!unit.has(changes.stage) || unit.barrier(changes.lane) == nullptr)
      return "relocates state of an unknown stage or shard";
    wire::ChangesReader reader(changes.changes);
    while (const auto change = reader.next()) {
      if (change->space != wire::Space::kState) return "relocates what is no state";
    }
    if (!reader.ok()) return "has malformed state changes";
    Place at = place;
    at.at = static_cast<std::uint32_t>(changes.changes.data() - payload.bytes.data());
    at.size = static_cast<std::uint32_t>(changes.changes.size());
    changelogs_[changes.stage].append({sequence, changes.lane, at});
    if (!place.written()) unplaced_.push_back({sequence, Unplaced::Kind::kChanges, changes.stage, 0, {}});
  }
  switch (relocated.step) {
    case Relocated::Step::kPortion:
      break;
    case Relocated::Step::kCopied:
      unit.relocation->copied = true;
      break;
    case Relocated::Step::kDone:
      if (!unit.at_barriers()) return "goes on before it has come to where the boundaries moved";
      unit.relocation.reset();
      break;
  }
  return "";
}

}  // namespace weir::core
