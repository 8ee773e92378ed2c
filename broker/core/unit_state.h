// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sdk/base/bytes.h"
#include "sdk/base/ids.h"
#include "sdk/topology/boundary.h"
#include "sdk/topology/topology.h"

namespace weir::core {

/// How a unit takes its input.
enum class Intake : std::uint8_t {
  kSplits,  ///< a source: leases of splits
  kShards,  ///< whole shards, in order: keyed and other partitioned input, and sinks
  kRanges,  ///< offset ranges of unkeyed input
};

/// A group's place in one shard of one input stream.
struct Cursor {
  std::uint32_t input = 0;  ///< index into UnitState::inputs
  std::uint32_t shard = 0;
  std::uint64_t offset = 0;  ///< everything before it is committed
  /// No record at or behind `offset` lies in a frame before this one; a lower bound that scanning raises.
  std::uint64_t frame = 0;
  std::map<std::uint64_t, std::uint64_t> ahead;  ///< ranges [from, to) committed out of order, behind `offset`
};

/// The smallest part of a unit that is leased, finished and owns state: a shard of its inputs, an (input, shard) of
/// unkeyed input, or a split.
struct Lane {
  std::vector<Cursor> cursors;     ///< none for a source
  Timestamp advanced = INT64_MIN;  ///< no output of this lane will be earlier
  bool finished = false;
  Bytes position;  ///< of a split, or committed by a sink
  std::string split;
  bool split_ended = false;
};

/// Boundaries of a unit's input have moved, and it has not come to that place in all shards concerned, or the state of
/// their keys is still to follow. Until it has, those shards get nothing that was sent behind the move; others do.
struct Relocation {
  struct Barrier {
    std::uint32_t shard = 0;
    std::uint64_t offset = 0;  ///< the next one in the shard when the boundary moved
    bool gives = false;        ///< some of its keys lie in another shard now
  };
  std::uint32_t stream = 0;
  Timestamp watermark = INT64_MIN;  ///< of the stream, when the boundary moved
  bool copied = false;              ///< state has been copied, and is to be erased where it was
  std::vector<Barrier> barriers;    ///< by rising shard
  std::vector<Boundary> before;     ///< those that were in force: of a shard only what lay there by them is to go
  [[nodiscard]] const Barrier* barrier(std::uint32_t shard) const;
};

/// The durable part of a unit: a stage that heads a chain of fused stages (mostly of one), as consumer and producer.
/// Thread: the core's.
class UnitState {
 public:
  UnitState(const Topology& topology, std::uint32_t stage);

  /// Goes on from what the unit was before the topology changed: what it read has kept its lanes and numbers.
  /// REQUIRES: same intake.
  void take_over(UnitState&& before);

  [[nodiscard]] std::uint32_t stage() const { return stage_; }
  [[nodiscard]] Intake intake() const { return intake_; }
  /// Stages of the chain, the head first, in the order of the flow.
  [[nodiscard]] const std::vector<std::uint32_t>& stages() const { return stages_; }
  [[nodiscard]] const std::vector<std::uint32_t>& inputs() const { return inputs_; }    ///< queue streams
  [[nodiscard]] const std::vector<std::uint32_t>& outputs() const { return outputs_; }  ///< queue streams of all stages
  [[nodiscard]] bool has(std::uint32_t stage) const;
  /// Its stage is not in the topology any more: it keeps cursors and state, and holds nothing back.
  [[nodiscard]] bool resting() const { return resting_; }
  /// The same of one of its inputs, by index into inputs().
  [[nodiscard]] bool rests(std::uint32_t input) const { return resting_ || inputs_resting_[input]; }
  /// Its records come from a loop's back edge, which never holds event time back.
  [[nodiscard]] bool comes_back(std::uint32_t input) const { return inputs_coming_back_[input]; }
  [[nodiscard]] bool is_sink() const { return sink_; }
  [[nodiscard]] bool keeps_state() const { return keeps_state_; }
  /// All lanes must go to one worker.
  [[nodiscard]] bool single() const { return single_; }
  /// So many workers find something to do, at most.
  [[nodiscard]] std::uint32_t workers_max() const;

  struct Place {
    std::uint32_t lane = 0;
    std::uint32_t cursor = 0;
  };
  /// Where (stream, shard) is consumed, or nothing if this unit does not read it.
  [[nodiscard]] std::optional<Place> find(std::uint32_t stream, std::uint32_t shard) const;
  Cursor& cursor(Place place) { return lanes[place.lane].cursors[place.cursor]; }
  [[nodiscard]] const Cursor& cursor(Place place) const { return lanes[place.lane].cursors[place.cursor]; }

  /// Adds a lane for each id not known yet.
  void add_splits(const std::vector<std::string>& ids);

  /// Enters [from, to) as committed: at the cursor it moves on, past what was committed ahead too.
  /// Answers false if it overlaps what is committed already.
  bool consume(Place place, std::uint64_t from, std::uint64_t to);

  /// Where `lane` must stop until the unit's relocation is over; null: nowhere. Lane and shard are one where a unit
  /// takes whole shards, and nobody else reads what learns its boundaries.
  [[nodiscard]] const Relocation::Barrier* barrier(std::uint32_t lane) const {
    return relocation ? relocation->barrier(lane) : nullptr;
  }
  /// All lanes concerned have come to where the boundaries moved, in event time too, so that no key comes to a lane
  /// that is ahead of it. It stays so: nothing more is delivered to them. REQUIRES: a relocation.
  [[nodiscard]] bool at_barriers() const;

  /// The earliest that any lane may still emit.
  [[nodiscard]] Timestamp advanced_min() const;

  std::vector<Lane> lanes;
  std::optional<Relocation> relocation;
  bool enumeration_ended = false;     ///< sources
  bool begun = false;                 ///< it has committed something
  bool finished = false;              ///< derived, see Ledger::refresh_ends
  std::uint32_t loop = 0;             ///< derived: the loop that it is part of, by number from 1; 0: none
  std::uint64_t records_backlog = 0;  ///< derived: not yet committed, over all inputs

 private:
  std::uint32_t stage_;
  Intake intake_ = Intake::kShards;
  std::vector<std::uint32_t> stages_;
  std::vector<std::uint32_t> inputs_;
  std::vector<std::uint32_t> outputs_;
  std::vector<std::uint32_t> first_lanes_;  ///< kRanges: lane of shard 0 of each input
  std::vector<bool> inputs_resting_;
  std::vector<bool> inputs_coming_back_;
  bool resting_ = false;
  bool sink_ = false;
  bool keeps_state_ = false;
  bool single_ = false;
};

}  // namespace weir::core
