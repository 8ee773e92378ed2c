// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "sdk/base/clock.h"
#include "sdk/topology/topology.h"
#include "tests/simulation/bug.h"

namespace weir::simulation {

/// The stage that a person has work off again what it has consumed.
enum class Replayed : std::uint8_t { kNone, kPass, kSum, kOut };

/// What a seed makes of a run.
struct Plan {
  std::uint64_t seed = 0;
  std::uint64_t numbers = 0;  ///< emitted by the source, in all
  std::uint32_t keys = 0;
  std::uint32_t splits = 0;
  bool unkeyed_stage = false;   ///< a stage with unkeyed input between source and sum
  bool tallied = false;         ///< a stage with state of its own fused behind the sum
  bool poison = false;          ///< some numbers become dead letters of the sum
  std::uint32_t producers = 0;  ///< outside, each with a name
  std::uint64_t published = 0;  ///< messages of each producer
  bool drains = false;          ///< Ctrl-C now and then, and a new run
  bool full_disk = false;       ///< the disk is full now and then
  bool full_for_long = false;   ///< once it stays so for minutes
  bool kills = true;            ///< processes die without their fault, freeze, or are told to drain
  bool disk_fails = false;      ///< writes, and where the power is cut too, syncs
  bool time_jumps = false;      ///< the machine stands still now and then, and time has passed
  bool clock_jumps = false;     ///< somebody sets the machine's clock, forward or back
  bool resets = false;          ///< a worker's connections lose what is in flight, in silence
  bool killers = false;         ///< some numbers kill their worker whenever it comes to them
  bool requeues = false;        ///< a person has dead letters worked on again, now and then
  bool drops = false;           ///< and drops some
  bool parks = false;           ///< what fails is parked with its key
  bool segment_flips = false;   ///< in a copy of the disk, which is started from beside it
  bool changes = false;         ///< the topology is another one after a drain
  bool leaves = false;          ///< workers are asked to go, and others come
  bool upgrades = false;        ///< and other versions of their libraries
  bool scales = false;          ///< a person gives stages other numbers of workers
  Replayed replayed = Replayed::kNone;
  std::uint64_t retention_bytes = 0;  ///< of all streams
  Monotonic retention_time{0};        ///< the same
  bool heals = false;                 ///< most of what fails or kills does so only some times
  bool writes_beside = false;         ///< the journal is written on while a sync is under way
  bool slow_disk = false;             ///< a sync takes long, and much is decided meanwhile
  bool copies_early = false;  ///< what is needed in old segments is copied as soon as half of the journal is not
  bool power_cuts = false;    ///< only where streams ask for fsync
  bool bit_flips = false;     ///< in the newest checkpoint, now and then, while the broker is down
  std::uint32_t drops_per_million = 0;
  std::uint32_t doubles_per_million = 0;
  std::uint32_t delays_per_million = 0;        ///< of messages: they, and what follows on their connection, come late
  std::uint32_t job_crashes_per_million = 0;   ///< of files that are written in the background: the broker dies amid it
  std::uint32_t kills_per_million = 0;         ///< of records: a worker is killed while it is at one, which is innocent
  Monotonic calm_from{0};                      ///< no faults from here on
  PartitionBy partition = PartitionBy::kHash;  ///< of what the sum reads
  std::vector<std::uint64_t> boundaries;       ///< of that, by range
  bool local = false;                          ///< the sum keeps its state on disks of its workers, ...
  bool tally_local = false;                    ///< ... and so does the stage behind it
  Compression compression = Compression::kNone;  ///< of all streams through the broker but one
  std::uint32_t levels = 0;  ///< where not 0, what the stage without keys reads is dispatched by priority
  bool direct = false;  ///< what the stage without keys reads goes past the broker, and some of it may be lost, ...
  bool acknowledged = false;     ///< ... or, where it is acknowledged, come again; ...
  bool pub_sub = false;          ///< ... or it is published, to one worker, so that each record is there once at most
  bool weighs = false;           ///< shards are shared out by what they have to do, however little that is
  bool splits_hot_keys = false;  ///< of what the sum reads, which then has few keys, most of them hot
  bool moves = false;            ///< there are more splits, and the source is scaled while it reads them
  bool kills_pass = false;  ///< some numbers kill the worker that takes them past the broker, where they come again
  bool tells = false;       ///< the source acknowledges outside what is settled of a split
  bool learns_boundaries = false;  ///< of what the sum reads, which producers write too; they move often
  Bug bug = Bug::kNone;

  /// Faults that were thought of later are left out for a smaller `era`, so that old seeds still give what they gave.
  static constexpr int kEra = 21;
  static Plan of(std::uint64_t seed, int era = kEra);

  [[nodiscard]] bool is_poison(std::uint64_t number) const { return poison && number % 97 == 13; }
  [[nodiscard]] bool is_killer(std::uint64_t number) const { return killers && number % 499 == 101; }
  [[nodiscard]] bool kills_on_the_way(std::uint64_t number) const {
    return kills_pass && number < numbers && number % 307 == 61;
  }
  [[nodiscard]] bool is_good(std::uint64_t number) const {
    return !is_poison(number) && !is_killer(number) && !kills_on_the_way(number);
  }
  /// How often a number that is not good fails, or kills.
  [[nodiscard]] std::uint64_t fails(std::uint64_t number) const {
    return heals && number % 5 != 0 ? 1 + number % 7 : UINT64_MAX;
  }
  /// Message `k` (from 1) of a producer carries these numbers, in this order; all numbers of a topology differ.
  static constexpr std::uint64_t kNumbersPerMessage = 5;
  [[nodiscard]] std::uint64_t number_of(std::uint32_t producer, std::uint64_t message, std::uint64_t i) const {
    return numbers + producer * published * kNumbersPerMessage + (message - 1) * kNumbersPerMessage + i;
  }
  /// The sum may get records again, so that it says where each came from.
  [[nodiscard]] bool sums_again() const { return replayed == Replayed::kSum || replayed == Replayed::kPass; }
  /// Retention never ends.
  [[nodiscard]] bool keeps_all() const { return retention_bytes == kKeptForEver; }
  static constexpr std::uint64_t kKeptForEver = 1 << 30;
  /// Where a number comes from: a split of the source, or behind those a producer.
  [[nodiscard]] std::uint64_t origin_of(std::uint64_t number) const {
    return number < numbers ? number % splits : splits + (number - numbers) / (published * kNumbersPerMessage);
  }
  /// Numbers of one key and origin reach the sum as they were emitted; workers of a stage without keys overtake others.
  [[nodiscard]] bool keeps_order(std::uint64_t number) const { return !unkeyed_stage || number >= numbers; }
  /// Where records of `key` reach the sum, as far as that can be said without the code that decides it.
  [[nodiscard]] std::optional<std::uint64_t> shard_of(std::uint64_t key, std::uint64_t shards) const {
    if (partition == PartitionBy::kModulo) return key % shards;
    if (partition != PartitionBy::kRange || learns_boundaries) return std::nullopt;
    return std::count_if(boundaries.begin(), boundaries.end(), [&](std::uint64_t boundary) { return boundary <= key; });
  }
  /// Where producers send their numbers: what learns its boundaries has no other beside it in front of the sum.
  [[nodiscard]] const char* outside() const { return learns_boundaries ? "numbers" : "outside"; }
  [[nodiscard]] std::uint64_t level_of(std::uint64_t number) const { return levels == 0 ? 0 : number / 3 % levels; }
  [[nodiscard]] std::uint64_t numbers_all() const { return numbers + producers * published * kNumbersPerMessage; }
};

/// The topology that a plan runs; what the plan leaves open is left to `random`.
Topology topology_of(const Plan& plan, std::mt19937_64& random);

}  // namespace weir::simulation
