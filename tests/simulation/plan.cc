// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/plan.h"

#include <array>
#include <set>
#include <utility>

#include "sdk/topology/hot_keys.h"

namespace weir::simulation {

using namespace std::chrono_literals;

Plan Plan::of(std::uint64_t seed, int era) {
  std::mt19937_64 random(seed ^ 0x9e3779b97f4a7c15);
  Plan plan;
  plan.seed = seed;
  plan.numbers = 200 + random() % 6000;
  plan.keys = static_cast<std::uint32_t>(1 + random() % 300);
  plan.splits = static_cast<std::uint32_t>(1 + random() % 4);
  plan.unkeyed_stage = random() % 2 == 0;
  plan.tallied = random() % 3 == 0;
  plan.poison = random() % 3 == 0;
  plan.producers = static_cast<std::uint32_t>(random() % 3);
  plan.published = 1 + random() % 200;
  plan.drains = random() % 3 == 0;
  plan.full_disk = random() % 3 == 0;
  plan.copies_early = random() % 2 == 0;
  plan.power_cuts = random() % 2 == 0;
  plan.drops_per_million = random() % 3 == 0 ? 0 : 500;
  plan.doubles_per_million = random() % 3 == 0 ? 0 : 20'000;
  plan.calm_from = std::chrono::milliseconds(random() % 8000);
  plan.bit_flips = random() % 3 == 0 && era >= 2;
  plan.slow_disk = random() % 3 == 0 && era >= 2;
  plan.killers = random() % 4 == 0 && era >= 3;
  plan.requeues = random() % 4 == 0 && era >= 3;
  plan.kills = random() % 8 != 0 || era < 3;
  plan.kills_per_million = plan.kills && era >= 3 ? 200 : 0;
  plan.disk_fails = random() % 3 == 0 && era >= 3;
  plan.time_jumps = random() % 4 == 0 && era >= 3;
  plan.resets = random() % 3 == 0 && era >= 3;
  plan.parks = random() % 4 == 0 && era >= 4;
  plan.heals = (plan.parks || plan.requeues) && era >= 4;
  plan.drops = plan.heals && random() % 2 == 0;
  if (plan.parks) plan.poison = plan.requeues = true;
  if (era >= 5) {
    // What failed comes again by a replay too, and by which way it got through is no question then.
    constexpr std::array kAll = {Replayed::kNone, Replayed::kNone, Replayed::kNone,
                                 Replayed::kPass, Replayed::kSum,  Replayed::kOut};
    plan.replayed = kAll[random() % kAll.size()];
    if (plan.replayed == Replayed::kPass && !plan.unkeyed_stage) plan.replayed = Replayed::kSum;
    // Then all that comes again is counted.
    if (plan.replayed == Replayed::kPass && era >= 7) plan.poison = plan.killers = false;
    if (plan.sums_again()) plan.parks = plan.requeues = plan.heals = plan.drops = false;
    const std::uint64_t kept = random() % 4;
    if (kept == 1) plan.retention_bytes = Plan::kKeptForEver;
    if (kept == 2) plan.retention_bytes = (1 << 10) + random() % (16 << 10);
    if (kept == 3) plan.retention_time = Monotonic(static_cast<std::int64_t>(random() % 1'000'000) + 1);
    if (plan.replayed == Replayed::kNone) plan.retention_bytes = 0;
    if (plan.replayed == Replayed::kNone) plan.retention_time = Monotonic(0);
  }
  plan.changes = random() % 4 == 0 && era >= 6;
  plan.segment_flips = random() % 4 == 0 && era >= 7;
  plan.leaves = random() % 3 == 0 && era >= 8;
  if (era >= 9) {
    constexpr std::array kAll = {PartitionBy::kHash, PartitionBy::kModulo, PartitionBy::kRange};
    plan.partition = kAll[random() % kAll.size()];
    std::set<std::uint64_t> boundaries;
    for (std::uint64_t left = 1 + random() % 5; left > 0; --left) boundaries.insert(random() % plan.keys);
    if (plan.partition == PartitionBy::kRange) plan.boundaries.assign(boundaries.begin(), boundaries.end());
  }
  if (era >= 10) {
    constexpr std::array kAll = {Compression::kNone, Compression::kLz4, Compression::kZstd};
    plan.compression = kAll[random() % kAll.size()];
    plan.local = random() % 2 == 0;
    plan.tally_local = plan.local && random() % 2 == 0;
  }
  if (era >= 9 && plan.unkeyed_stage && random() % 2 == 0) plan.levels = static_cast<std::uint32_t>(2 + random() % 3);
  if (era >= 11 && plan.unkeyed_stage && plan.levels == 0 && plan.replayed != Replayed::kPass)
    plan.direct = random() % 2 == 0;
  plan.scales = era >= 12 && random() % 3 == 0;
  // What comes again would fail again, or not.
  if (era >= 13 && plan.direct && !plan.poison && !plan.killers) plan.acknowledged = random() % 2 == 0;
  if (era >= 14) {
    plan.delays_per_million = random() % 3 == 0 ? 1000 : 0;
    plan.clock_jumps = random() % 3 == 0;
    plan.job_crashes_per_million = plan.kills && random() % 2 == 0 ? 100'000 : 0;
    plan.full_for_long = random() % 32 == 0;
  }
  if (era >= 15 && plan.direct && !plan.acknowledged && !plan.scales) plan.pub_sub = random() % 2 == 0;
  plan.weighs = era >= 16 && random() % 2 == 0;
  if (era >= 17 && !plan.parks && plan.replayed == Replayed::kNone && random() % 3 == 0) {
    plan.splits_hot_keys = true;
    plan.partition = PartitionBy::kHash;
    plan.boundaries.clear();
    plan.changes = false;  // what it adds reads the numbers, and could merge nothing
    // About so many that a key with its share of the records may be hot, and may not.
    plan.keys = static_cast<std::uint32_t>(1 + random() % 50);
  }
  plan.upgrades = era >= 18 && random() % 3 == 0;
  if (era >= 19 && !plan.parks && plan.replayed == Replayed::kNone && !plan.splits_hot_keys && random() % 4 != 0) {
    plan.learns_boundaries = true;
    plan.partition = PartitionBy::kRange;
    plan.boundaries.clear();
  }
  if (era >= 20 && random() % 3 == 0 && !plan.pub_sub) {
    plan.moves = plan.scales = true;
    plan.splits = static_cast<std::uint32_t>(4 + random() % 9);
    plan.tells = random() % 2 == 0;
  }
  const bool may_kill_pass = plan.unkeyed_stage && plan.levels == 0 && plan.replayed != Replayed::kPass &&
                             !plan.poison && !plan.killers && !plan.parks && !plan.requeues && !plan.pub_sub;
  if (era >= 20 && may_kill_pass && (plan.acknowledged || random() % 2 == 0))
    plan.kills_pass = plan.direct = plan.acknowledged = true;
  plan.writes_beside = era >= 21 && random() % 2 == 0;
  return plan;
}

Topology topology_of(const Plan& plan, std::mt19937_64& random) {
  Topology topology;
  topology.name = "simulated";
  topology.broker.segment_bytes = random() % 2 == 0 ? 32 << 10 : 64 << 10;
  topology.broker.memory_bytes = 1 << 20;
  // Its eighth bounds how many frames are kept.
  if (plan.keeps_all()) topology.broker.memory_bytes = 32 << 20;
  topology.broker.transaction_bytes_max = 8 << 10;
  topology.broker.interval = 50ms;
  const Durability durability = plan.power_cuts     ? Durability::kFsync
                                : random() % 2 == 0 ? Durability::kNone
                                                    : Durability::kInterval;
  topology.broker.durability = durability;
  const auto stream = [&](std::string name, PartitionBy partition, std::uint32_t shards) {
    Stream added;
    added.name = std::move(name);
    added.partition = partition;
    added.shards = shards;
    added.durability = durability;
    added.retention_bytes = plan.retention_bytes;
    added.retention_time = plan.retention_time;
    added.backlog_bytes_max = random() % 2 == 0 ? 4 << 10 : 1 << 20;
    topology.streams.push_back(std::move(added));
  };
  const auto stage = [&](std::string name, PluginKind kind, std::uint32_t workers, int in, int out) {
    StageSpec added;
    added.name = added.plugin = std::move(name);
    added.kind = kind;
    added.workers = workers;
    if (in >= 0) added.inputs.push_back({"in", static_cast<std::uint32_t>(in)});
    if (out >= 0) added.outputs.push_back({"out", static_cast<std::uint32_t>(out)});
    added.host = static_cast<std::uint32_t>(topology.stages.size());
    added.dead_letter_bytes_max = 1 << 20;
    added.memory_bytes = 256 << 10;
    added.commit_after = Monotonic(random() % 3 == 0 ? 0 : random() % 50'000);
    added.retries = static_cast<std::uint32_t>(random() % 3);
    topology.stages.push_back(std::move(added));
  };
  const auto workers = [&] { return static_cast<std::uint32_t>(1 + random() % 3); };
  const auto range = [&] {
    Stream& added = topology.streams.back();
    if (plan.partition != PartitionBy::kRange) return;
    added.learns_boundaries = plan.learns_boundaries;
    if (plan.learns_boundaries) added.shards = std::max(added.shards, 2U);
    if (plan.learns_boundaries) return;
    added.boundaries.assign(plan.boundaries.begin(), plan.boundaries.end());
    added.shards = static_cast<std::uint32_t>(plan.boundaries.size() + 1);
  };
  stream("numbers", plan.partition, static_cast<std::uint32_t>(1 + random() % 6));
  range();
  stream("sums", PartitionBy::kHash, static_cast<std::uint32_t>(1 + random() % 3));
  if (plan.unkeyed_stage) stream("raw", PartitionBy::kNone, static_cast<std::uint32_t>(1 + random() % 3));
  if (plan.direct) {
    Stream& raw = topology.streams.back();
    raw.transport = plan.acknowledged ? Transport::kSendReceive
                    : plan.pub_sub    ? Transport::kPubSub
                                      : Transport::kPushPull;
    raw.shards = 1;
    raw.retention_bytes = 0;
    raw.retention_time = Monotonic(0);
    raw.dispatch = random() % 2 == 0 ? Dispatch::kRoundRobin : Dispatch::kLeastLoaded;
  }
  if (plan.levels != 0) {
    Stream& raw = topology.streams.back();
    raw.shards = plan.levels;
    raw.dispatch = Dispatch::kPriority;
    raw.priority.weights.assign(raw.shards, 1);
    for (std::uint32_t level = raw.shards - 1; level > 0; --level)
      raw.priority.weights[level - 1] = raw.priority.weights[level] + static_cast<std::uint32_t>(random() % 20);
    raw.priority.fallback = raw.shards - 1;
    raw.priority.field = "/2";
  }
  stage("numbers", PluginKind::kSource, workers(), -1, plan.unkeyed_stage ? 2 : 0);
  if (plan.tells) topology.stages.back().plugin = "numbers_told";
  if (plan.unkeyed_stage) stage("pass", PluginKind::kStage, plan.pub_sub ? 1 : workers(), 2, 0);
  stage("sum", PluginKind::kStage, workers(), 0, 1);
  topology.stages.back().keyed = true;
  if (plan.local) topology.stages.back().store = Store::kRocksDb;
  if (plan.parks) {
    topology.stages.back().then = OnErrorThen::kParkKey;
    topology.stages.back().parked_bytes_max = 4 << 20;
  }
  const auto sum = static_cast<std::uint32_t>(topology.stages.size() - 1);
  if (plan.producers != 0 && plan.learns_boundaries) {
    topology.streams[0].external_in = true;
  } else if (plan.producers != 0) {
    stream("outside", plan.partition, topology.streams[0].shards);
    range();
    topology.streams.back().external_in = true;
    topology.stages[sum].inputs.push_back({"in", static_cast<std::uint32_t>(topology.streams.size() - 1)});
  }
  if (plan.tallied) {
    stream("steps", PartitionBy::kNone, 1);
    topology.streams.back().transport = Transport::kFused;
    const auto steps = static_cast<std::uint32_t>(topology.streams.size() - 1);
    topology.stages[sum].outputs.front().stream = steps;
    topology.stages[sum].key_preserving = true;
    stage("tally", PluginKind::kStage, topology.stages[sum].workers, static_cast<int>(steps), 1);
    topology.stages.back().keyed = true;
    topology.stages.back().host = sum;
    if (plan.tally_local) topology.stages.back().store = Store::kRocksDb;
  }
  stage("out", PluginKind::kSink, workers(), 1, -1);
  // One is left as it is, so that stages read both.
  for (std::size_t i = 1; i < topology.streams.size(); ++i) {
    if (topology.streams[i].transport != Transport::kFused) topology.streams[i].compression = plan.compression;
  }
  if (plan.splits_hot_keys) {
    for (Stream& each : topology.streams)
      if (each.name == "numbers" || each.name == "outside") each.hot_keys = HotKeys::kSplit;
    add_hot_key_streams(topology);
  }
  if (random() % 2 == 0) {
    topology.stages.back().sharing = Sharing::kShard;
    topology.stages.back().plugin = "out_by_shard";
  }
  return topology;
}

}  // namespace weir::simulation
