// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "sdk/base/clock.h"
#include "sdk/topology/topology.h"
#include "sdk/wire/compression.h"
#include "sdk/wire/messages.h"
#include "stages/host/batch_slices.h"
#include "stages/host/chain.h"
#include "stages/host/engine.h"
#include "stages/host/exit_codes.h"
#include "stages/host/memory_limit.h"
#include "stages/host/read_pace.h"
#include "stages/host/restored_lane.h"

namespace weir::host {

/// Time as a runner sees it.
struct RunnerClock {
  std::function<Monotonic()> monotonic = monotonic_now;
  std::function<std::int64_t()> wall_us = wall_now_us;
  std::function<void(Monotonic)> pause = [](Monotonic time) { std::this_thread::sleep_for(time); };
};

/// A worker's life: takes leases and records from an engine, works them through a chain, and commits transactions.
/// Reads no clock and no socket itself. Thread: one. Lifetime: chain, engine and topology must outlive it.
class Runner {
 public:
  /// `memory`: what bounds this process; null for nothing.
  Runner(const Topology& topology, Chain& chain, Engine& engine, RunnerClock clock = {}, MemoryLimit* memory = nullptr);

  /// Until the engine or the stage ends it.
  Exit run();
  /// One turn: an event, or what can be done without one. Nothing: go on.
  std::optional<Exit> turn();

 private:
  struct Lane {
    std::map<std::uint32_t, Timestamp> watermarks;  ///< by input stream
    Timestamp watermark = INT64_MIN;
  };
  struct ReadSplit {
    Split split;
    Timestamp watermark = INT64_MIN;
    bool ended = false;
    /// It was asked back, and is let go once the source knows that all it has read of it is settled.
    std::optional<wire::Lease> going;
    [[nodiscard]] bool reads_on() const { return !ended && !going; }
    /// Positions that are committed and not yet durable: by the number of the commit, for a source that asks.
    std::deque<std::pair<std::uint64_t, Bytes>> settling;
  };

  std::optional<Exit> handle(Event event);
  Status deliver(const Event& event);
  Status work_off(const Event& event);
  /// The records of a delivered batch, decompressed, and nothing but those that are meant.
  Result<BatchSlices::Slice> unpack(const wire::DeliveryHeader& batch, BytesView bytes);
  Status requeued(const wire::Requeued& requeued);
  Status work_off_parked(const wire::Requeued& requeued);
  /// `from`: the event that it came with.
  Status work_off(const BatchSlices::Slice& slice, wire::BatchReader* late, const Event& from);
  void count_late(wire::BatchReader& reader, std::uint32_t records, Timestamp watermark);
  void open_transaction();
  Status raise_watermark(std::uint32_t lane, std::uint32_t stream, Timestamp watermark);
  Status advance(std::uint32_t lane, Timestamp watermark);
  Status grant(const std::vector<wire::Lease>& leases);
  Status restore(const wire::StatePart& part);
  Status take_ahead(const wire::StatePart& part);
  /// All stages take the state of a shard in parts, with work on others in between.
  [[nodiscard]] bool loads_in_parts() const;
  /// Forgets what came ahead for the lane.
  void drop_ahead(std::uint32_t lane);
  /// Gives stages what a lane has in this space.
  Status load(const RestoredLane& from, std::uint32_t lane, wire::Space space);
  /// What the stages hold of the lane in memory goes.
  void drop_state(std::uint32_t lane);
  Status load(Instance& instance, std::uint32_t lane, const wire::Change& change);
  Status open_target(std::uint32_t lane, BytesView position);
  void close_target(std::uint32_t lane);
  Status revoke(const std::vector<wire::Lease>& leases);
  Status finish(const std::vector<std::uint32_t>& lanes);
  Status read_splits(bool& read);
  Status read(std::uint32_t lane, ReadSplit& split, bool& read);
  Status enumerate();
  Status close();
  /// How long the open transaction waits for more, where nothing has come.
  [[nodiscard]] Monotonic gathers(Monotonic now);
  void tell_durable();
  /// Splits that were asked back, and of which nothing is left to be told, go.
  void let_splits_go();
  /// What is on the broker's disk goes to ours.
  Status store_durable();
  Status restore_local(const wire::StatePart& part);
  void bound_memory();
  void beat();
  Exit give_up(const Status& status);

  const Topology& topology_;
  Chain& chain_;
  Engine& engine_;
  RunnerClock clock_;
  MemoryLimit* memory_;
  std::map<std::uint32_t, Lane> lanes_;
  std::map<std::uint32_t, RestoredLane> restored_;  ///< lanes whose state is still arriving
  /// State that comes ahead of its lease. Once it is whole it is loaded, if the stages can do with that, and its bytes
  /// are kept until the lease is here: what comes on top may erase some of it, which no stage can be told.
  struct Ahead {
    std::uint32_t number = 0;
    RestoredLane lane;
    bool whole = false;
    bool loaded = false;
  };
  std::map<std::uint32_t, Ahead> ahead_;
  std::map<std::uint32_t, ReadSplit> splits_;
  std::set<std::string> splits_known_;
  std::optional<wire::Condemned> condemned_;  ///< a record that comes next
  std::set<std::uint32_t> targets_;           ///< of the sink, open
  SliceSize slice_size_;
  Monotonic enumerate_at_{0};
  bool enumerating_ = false;
  bool draining_ = false;
  bool sharded_ = false;
  bool open_ = false;     ///< a transaction has something in it
  bool awaited_ = false;  ///< and somebody waits for it, whatever it is
  Monotonic opened_{0};
  Monotonic worked_{0};                  ///< when the last event was worked off
  std::uint64_t bytes_uncommitted_ = 0;  ///< of records that the open transaction has taken
  ReadPace read_pace_;
  wire::Decompressor decompressor_;
  std::uint32_t split_next_ = 0;

  std::uint64_t stored_ = 0;       ///< transactions that are in the local stores
  std::uint64_t state_bytes_ = 0;  ///< when it was counted last
  wire::Measured measured_;
  Monotonic measured_since_{0};
  Monotonic busy_{0};
  std::optional<Monotonic> busy_since_;  ///< it is at an event, since then, or since the last beat
  Monotonic blocked_{0};
};

}  // namespace weir::host
