// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "sdk/base/clock.h"
#include "sdk/topology/topology.h"
#include "sdk/wire/compression.h"
#include "sdk/wire/messages.h"
#include "stages/host/batch_slices.h"
#include "stages/host/chain.h"
#include "stages/host/engine.h"
#include "stages/host/exit_codes.h"
#include "stages/host/lane_states.h"
#include "stages/host/memory_limit.h"
#include "stages/host/read_pace.h"
#include "stages/host/runner_clock.h"
#include "stages/host/sink_targets.h"
#include "stages/host/source_splits.h"

namespace weir::host {

/// A worker's life: takes leases and records from an engine, works them through a chain, and commits transactions.
/// Reads no clock and no socket itself. Thread: one. Lifetime: chain, engine and topology must outlive it.
class Runner {
 public:
  /// `memory`: what bounds this process; null for nothing.
  Runner(const Topology& topology, Chain& chain, Engine& engine, RunnerClock clock = {}, MemoryLimit* memory = nullptr);
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// Until the engine or the stage ends it.
  Exit run();
  /// One turn: an event, or what can be done without one. Nothing: go on.
  std::optional<Exit> turn();

 private:
  struct Lane {
    std::map<std::uint32_t, Timestamp> watermarks;  ///< by input stream
    Timestamp watermark = INT64_MIN;
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
  Status revoke(const std::vector<wire::Lease>& leases);
  Status finish(const std::vector<std::uint32_t>& lanes);
  Status read_splits(bool& read);
  Status read(SourceSplit& split, bool& read);
  Status close();
  /// How long the open transaction waits for more, where nothing has come.
  [[nodiscard]] Monotonic gathers(Monotonic now);
  /// What is on the broker's disk goes to ours.
  Status store_durable();
  void bound_memory();
  void beat();
  Exit give_up(const Status& status);

  const Topology& topology_;
  Chain& chain_;
  Engine& engine_;
  RunnerClock clock_;
  MemoryLimit* memory_;
  std::map<std::uint32_t, Lane> lanes_;
  LaneStates states_;
  SinkTargets targets_;
  SourceSplits splits_;
  std::optional<wire::Condemned> condemned_;  ///< a record that comes next
  SliceSize slice_size_;
  bool draining_ = false;
  bool sharded_ = false;
  bool open_ = false;     ///< a transaction has something in it
  bool awaited_ = false;  ///< and somebody waits for it, whatever it is
  Monotonic opened_{0};
  Monotonic worked_{0};                  ///< when the last event was worked off
  std::uint64_t bytes_uncommitted_ = 0;  ///< of records that the open transaction has taken
  ReadPace read_pace_;
  wire::Decompressor decompressor_;

  std::uint64_t stored_ = 0;       ///< transactions that are in the local stores
  std::uint64_t state_bytes_ = 0;  ///< when it was counted last
  wire::Measured measured_;
  Monotonic measured_since_{0};
  Monotonic busy_{0};
  std::optional<Monotonic> busy_since_;  ///< it is at an event, since then, or since the last beat
  Monotonic blocked_{0};
};

}  // namespace weir::host
