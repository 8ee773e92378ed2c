// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "sdk/base/clock.h"

namespace weir::simulation {

/// What came of a run, and how often what happened.
struct Outcome {
  std::uint64_t trace = 0;  ///< hash of everything that happened, in order
  std::string problem;      ///< empty: all invariants held
  std::uint64_t events = 0;
  std::uint64_t broker_crashes = 0;
  std::uint64_t worker_deaths = 0;
  std::uint64_t fences = 0;
  std::uint64_t leaves = 0;  ///< workers that were asked to go and were let go while the topology went on
  std::uint64_t checkpoints = 0;
  std::uint64_t compactions = 0;
  std::uint64_t copies = 0;
  std::uint64_t frames_read = 0;
  std::uint64_t freezes = 0;
  std::uint64_t zombies = 0;         ///< that went on after a freeze when their rights were gone
  std::uint64_t zombie_commits = 0;  ///< from incarnations whose rights were gone
  std::uint64_t messages_dropped = 0;
  std::uint64_t messages_delayed = 0;
  std::uint64_t messages_overtaken = 0;  ///< by one that was sent later on another connection
  std::uint64_t messages_doubled = 0;
  std::uint64_t power_cuts = 0;
  std::uint64_t torn_writes = 0;            ///< a crash planned into the middle of the disk's work came
  std::uint64_t blocks_lost = 0;            ///< of what no sync had covered, by a power cut
  std::uint64_t blocks_torn = 0;            ///< at a sector
  std::uint64_t cuts_reordered = 0;         ///< power cuts that kept a write and lost an earlier one
  std::uint64_t folders_undone = 0;         ///< power cuts that took changes of the directory back
  std::uint64_t stale_seen = 0;             ///< starts that met a segment's earlier use behind the last entry
  std::uint64_t tails_cut = 0;              ///< starts that cut a torn tail
  std::uint64_t crashes_in_recovery = 0;    ///< in the middle of a write of it
  std::uint64_t crashes_in_snapshot = 0;    ///< the same
  std::uint64_t crashes_in_checkpoint = 0;  ///< the same
  std::uint64_t crashes_amid_copies = 0;    ///< between a copy of old segments and the entry that says so
  std::uint64_t drains = 0;
  std::uint64_t groups_beside = 0;    ///< written while a sync was under way
  std::uint64_t disk_refusals = 0;    ///< an append that found no room
  std::uint64_t full_worked_off = 0;  ///< of those below, such as went on before there was room
  std::uint64_t full_for_long = 0;    ///< times that the disk stayed full until all stood still
  std::uint64_t producer_deaths = 0;
  std::uint64_t messages_resent = 0;
  std::uint64_t checkpoints_damaged = 0;
  std::uint64_t failed_writes = 0;
  std::uint64_t failed_syncs = 0;
  std::uint64_t time_jumps = 0;
  std::uint64_t clocks_set_forward = 0;
  std::uint64_t clocks_set_back = 0;
  std::uint64_t messages_reset = 0;  ///< in flight when their connection was
  std::uint64_t dead_letters = 0;
  std::uint64_t deaths_by_record = 0;
  std::uint64_t letters_requeued = 0;
  std::uint64_t letters_dropped = 0;
  std::uint64_t records_parked = 0;        ///< as a person saw them, or as they were left
  std::uint64_t healed = 0;                ///< numbers that had failed and came through
  std::uint64_t crashes_amid_letters = 0;  ///< between a person's wish about letters and its answer
  std::uint64_t replays = 0;
  std::uint64_t replays_with_reset = 0;
  std::uint64_t replays_refused = 0;
  std::uint64_t records_replayed = 0;
  std::uint64_t replays_cut_short = 0;     ///< from the start, where retention had let go of it
  std::uint64_t crashes_amid_replays = 0;  ///< between a person's wish and its answer
  std::uint64_t changes = 0;               ///< of the topology
  std::uint64_t changes_refused = 0;
  std::uint64_t parking_ended = 0;  ///< stages that parked keys and do so no more
  std::uint64_t stages_added = 0;
  std::uint64_t stages_left_out = 0;
  std::uint64_t scales = 0;  ///< numbers of workers that a person was told to hold
  std::uint64_t scales_refused = 0;
  std::uint64_t upgrades = 0;  ///< libraries that a person was told to hold
  std::uint64_t upgrades_refused = 0;
  std::uint64_t upgrades_failed = 0;
  std::uint64_t upgrades_settled = 0;
  std::uint64_t shards_upgraded = 0;        ///< that a worker with a new library had from one with an old one
  std::uint64_t crashes_amid_upgrades = 0;  ///< between a person's wish and its answer
  std::uint64_t crashes_amid_scales = 0;    ///< between a person's wish and its answer
  std::uint64_t damage_refused = 0;         ///< a start from a damaged copy
  std::uint64_t damage_stopped = 0;         ///< a read behind such a start
  std::uint64_t damage_cut = 0;             ///< as a torn tail
  std::uint64_t damage_unharmed = 0;        ///< where nothing needed it
  std::uint64_t fused_transactions = 0;
  std::uint64_t records_by_range = 0;  ///< that the sum processed
  std::uint64_t records_by_modulo = 0;
  std::uint64_t records_by_priority = 0;    ///< that the stage without keys processed
  std::uint64_t lanes_on_top = 0;           ///< restored on top of what a worker's disk had
  std::uint64_t lanes_ahead = 0;            ///< restored on top of what came ahead of the lease
  std::uint64_t lanes_behind = 0;           ///< of which nothing came ahead
  std::uint64_t copies_void = 0;            ///< that came ahead for nothing
  std::uint64_t local_voids = 0;            ///< lanes whose store on a worker's disk was void
  std::uint64_t local_batches_lost = 0;     ///< with the power of a worker's machine
  std::uint64_t batches_compressed = 0;     ///< that came to a worker
  std::uint64_t batches_cut = 0;            ///< of those, such as came again in part
  std::uint64_t records_sent_directly = 0;  ///< by transactions
  std::uint64_t records_published = 0;      ///< of these, to all that read
  std::uint64_t records_lost = 0;           ///< of those
  std::uint64_t records_again = 0;          ///< of those that were acknowledged, such as came twice
  std::uint64_t records_split = 0;          ///< of hot keys, processed away from their shard
  std::uint64_t partials_merged = 0;
  std::uint64_t boundary_moves = 0;     ///< also those that a start did not find
  std::uint64_t state_moved = 0;        ///< entries of state that followed their keys
  std::uint64_t deaths_on_the_way = 0;  ///< by a record that goes past the broker, and comes again
  std::uint64_t splits_moved = 0;       ///< given back while they were read
  std::uint64_t deaths_amid_moves = 0;  ///< of who was to give one back, or had just got one
  std::uint64_t links_broken = 0;       ///< connections between workers that ended while both lived
  Monotonic took{0};                    ///< virtual
};

}  // namespace weir::simulation
