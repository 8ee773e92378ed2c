// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/core/entry.h"
#include "sdk/base/ids.h"
#include "sdk/topology/topology.h"
#include "sdk/wire/batch.h"
#include "sdk/wire/changes.h"
#include "sdk/wire/commit.h"
#include "sdk/wire/compression.h"
#include "tests/simulation/plan.h"

namespace weir::simulation {

/// What the broker has decided, read entry by entry as it goes to the journal: the oracle's own books. Of the broker it
/// takes the layout of an entry, and nothing that judges one. Each entry must follow from those before it: whatever a
/// transaction consumes is next in line, what it emits is what its stage makes of that, the state that it leaves is the
/// sum of it, and nothing goes back. What a start does not find is taken back, and must not have been promised.
///
/// Every answer is what is wrong, as a sentence; empty: nothing.
class Committed {
 public:
  /// `topology` as the directory begins with it: numbers of streams and stages stay.
  Committed(const Plan& plan, const Topology& topology);

  [[nodiscard]] std::string append(Sequence sequence, bool checkpoint, BytesView payload);
  /// A broker starts with all entries before `end`.
  [[nodiscard]] std::string start(Sequence end);
  /// Of the next entry.
  [[nodiscard]] Sequence end() const { return Sequence(next_); }
  /// Entries before `end` will be found by every start.
  void settle(Sequence end);

  /// Records of a shard that every start will find end here.
  [[nodiscard]] std::uint64_t settled_end(std::uint32_t stream, std::uint32_t shard) const;
  /// The same of messages of a producer, ...
  [[nodiscard]] std::uint64_t settled_message(const std::string& producer) const;
  /// ... and of transactions of an incarnation.
  [[nodiscard]] std::uint64_t settled_transaction(Incarnation::number_type incarnation) const;

  /// What some changes, one behind the other, leave of a lane's state: of each entry, by a hash of stage, name and key,
  /// a hash of its value; 0: it is gone.
  using Lane = std::unordered_map<std::uint64_t, std::uint64_t>;
  static void fold(std::uint32_t stage, BytesView changes, Lane& into);
  /// Whether `restored` is what the stages of `unit` have in `lane`.
  [[nodiscard]] std::string compare(std::uint32_t unit, std::uint32_t lane, const Lane& restored) const;

  /// A sink's position in a lane.
  [[nodiscard]] std::uint64_t position(std::uint32_t stage, std::uint32_t lane) const;
  /// Records from outside and from sources.
  [[nodiscard]] std::uint64_t accepted() const { return accepted_; }
  /// Records that sinks have consumed.
  [[nodiscard]] std::uint64_t sunk() const { return sunk_; }
  /// So far, taken back or not: moves of boundaries, and entries of state that followed.
  [[nodiscard]] std::uint64_t boundary_moves() const { return boundary_moves_; }
  [[nodiscard]] std::uint64_t state_moved() const { return state_moved_; }
  /// Sinks' positions that the last entry has moved: stage, lane, position.
  using Positions = std::vector<std::tuple<std::uint32_t, std::uint32_t, std::uint64_t>>;
  [[nodiscard]] const Positions& positions() const { return positions_; }

 private:
  using ShardOf = std::pair<std::uint32_t, std::uint32_t>;                  ///< stream, shard
  using GroupOf = std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>;  ///< unit, stream, shard
  using LaneOf = std::pair<std::uint32_t, std::uint32_t>;                   ///< stage, lane
  /// Numbers, told apart from others by what they add up to.
  struct Heap {
    std::uint64_t count = 0;
    std::uint64_t sum = 0;
    std::uint64_t squares = 0;
    void add(std::uint64_t number) {
      ++count;
      sum += number;
      squares += number * number;
    }
    friend bool operator==(const Heap&, const Heap&) = default;
  };
  struct Total {
    std::uint64_t count = 0;
    std::uint64_t sum = 0;
    bool finished = false;
  };
  /// One transaction while it is looked at.
  struct Work {
    std::uint32_t unit = 0;
    bool outside = false;  ///< no stage's: a producer's
    Heap consumed;
    Heap emitted;      ///< by a stage without keys
    Heap added;        ///< by the sum
    Heap split;        ///< consumed of hot keys that are split, ...
    Heap handed_over;  ///< ... and emitted in partial results
    std::map<std::uint32_t, std::uint64_t> consumed_by_lane;
    std::map<std::uint32_t, std::uint64_t> emitted_by_split;
    std::vector<std::uint64_t> numbers;  ///< that were added
    std::vector<std::uint64_t> failed;
    std::map<std::uint32_t, std::pair<std::uint64_t, std::uint64_t>> moved;  ///< splits: from where to where
  };

  std::string transaction(const core::EntryHeader& header, BytesView payload);
  std::string consume(const wire::Consumed& range, Work& work);
  std::string move_split(const wire::SplitMoved& moved, Work& work);
  std::string emit(BytesView frame, Work& work);
  std::string emit_record(std::uint32_t stream, std::uint64_t key, const std::vector<std::uint64_t>& value, Work& work);
  std::string hand_over(const ShardOf& shard, const wire::RecordRef& record, Work& work);
  std::string add(std::uint64_t key, const std::vector<std::uint64_t>& value, Work& work);
  std::string change(const wire::ChangesOf& changes, Work& work);
  /// A dead letter or a parked record comes or goes.
  void letter(std::uint32_t stage, std::uint32_t lane, const wire::Change& change, Work& work);
  std::string check_letters(const Work& work) const;
  std::string move_letters(std::uint32_t stage, BytesView body);
  std::string publish(BytesView body);
  std::string replay(std::uint32_t unit, BytesView body);
  /// Boundaries of a stream move.
  std::string move_boundaries(BytesView body);
  /// State follows its keys to other shards.
  std::string relocate(std::uint32_t unit, BytesView body);
  [[nodiscard]] std::uint64_t shard_of(std::uint32_t stream, std::uint64_t key) const;
  [[nodiscard]] bool is(std::uint32_t stage, std::string_view name) const {
    return stage < topology_.stages.size() && topology_.stages[stage].name == name;
  }
  /// Each record that the sum takes is added in the same transaction.
  [[nodiscard]] bool adds_at_once() const { return !plan_.poison && !plan_.killers; }

  /// Takes note of how things are now, to be put back where no start finds the entry.
  template <typename Value>
  Value& touch(Value& value) {
    undo_.emplace_back(next_, [&value, before = value] { value = before; });
    return value;
  }

  const Plan& plan_;
  const Topology topology_;
  wire::Decompressor decompressor_;
  std::uint64_t next_ = 0;                                            ///< sequence
  std::uint64_t settled_ = 0;                                         ///< the same
  std::deque<std::pair<std::uint64_t, std::function<void()>>> undo_;  ///< by sequence

  // Nothing is ever erased from these: undo_ refers to what is in them.
  std::map<ShardOf, std::vector<std::uint64_t>> contents_;  ///< the number of each record, or nothing that matters
  std::map<ShardOf, std::vector<std::vector<std::uint64_t>>> partials_;  ///< the numbers of each partial result
  std::map<GroupOf, std::uint64_t> cursors_;
  std::map<GroupOf, std::vector<bool>> taken_;  ///< where records are leased by ranges
  std::map<std::uint32_t, std::uint64_t> splits_;
  std::map<std::string, std::uint64_t> messages_;
  std::map<Incarnation::number_type, std::uint64_t> transactions_;
  std::vector<std::uint32_t> emitted_;  ///< how often a number was emitted to what the sum reads, ...
  std::vector<std::uint32_t> added_;    ///< ... and added
  std::vector<Total> totals_;           ///< by key
  std::map<std::tuple<std::uint32_t, std::uint32_t, wire::Space, Bytes, Bytes>, std::optional<std::uint64_t>> letters_;
  std::vector<std::uint32_t> letters_of_;  ///< by number: dead letters and parked records that there are of it
  std::vector<bool> dropped_;              ///< the same: a person has had it dropped
  std::map<LaneOf, Lane> state_;
  std::map<LaneOf, std::uint64_t> positions_known_;
  std::map<std::uint32_t, std::vector<std::uint64_t>> boundaries_;  ///< by stream, once it has learned them
  /// Where a move of boundaries found the shards concerned, until the sum's state has followed.
  std::map<ShardOf, std::uint64_t> barriers_;
  /// What the sum's stages have in those shards, by stage and name, while it is on its way.
  std::optional<std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint64_t>> relocating_;
  std::uint64_t boundary_moves_ = 0;
  std::uint64_t state_moved_ = 0;
  std::uint64_t accepted_ = 0;
  std::uint64_t sunk_ = 0;

  /// What becomes settled with an entry.
  std::deque<std::pair<std::uint64_t, std::function<void()>>> unsettled_;
  std::map<ShardOf, std::uint64_t> settled_ends_;
  std::map<std::string, std::uint64_t> settled_messages_;
  std::map<Incarnation::number_type, std::uint64_t> settled_transactions_;

  Positions positions_;
  std::vector<wire::Consumed> ranges_;  ///< of the transaction that is looked at
};

}  // namespace weir::simulation
