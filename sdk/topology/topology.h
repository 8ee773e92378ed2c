// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sdk/topology/boundary.h"

namespace weir {

/// How soon "acknowledged" is on disk; ordered by strength, so that the stronger of two is std::max.
enum class Durability : std::uint8_t { kNone, kInterval, kFsync };

enum class Transport : std::uint8_t { kQueue, kFused, kPushPull, kSendReceive, kPubSub };
/// Its records go from worker to worker, past the broker, and are kept nowhere.
constexpr bool is_direct(Transport transport) {
  return transport != Transport::kQueue && transport != Transport::kFused;
}
/// Each of its records is counted once for whom it is meant, as taken or as lost; what comes again is not.
constexpr bool counts_arrivals(Transport transport) {
  return transport == Transport::kPushPull || transport == Transport::kPubSub;
}
enum class PartitionBy : std::uint8_t { kNone, kHash, kModulo, kRange };
/// How batches of a stream are compressed. The numbers stand in batches (sdk/wire/frame.h) and are never reused.
enum class Compression : std::uint8_t { kNone = 0, kLz4 = 1, kZstd = 2 };
/// What a stream has to do with keys that have more records than their share (hot_keys.h).
enum class HotKeys : std::uint8_t {
  kNone,
  kSplit,     ///< the records of such keys go to a second stream
  kShared,    ///< that second stream: a record may lie in any shard of it
  kPartials,  ///< what a stage has made of those, on the way to the key's own shard
};
enum class Dispatch : std::uint8_t { kLeastLoaded, kRoundRobin, kPriority };
/// Where a stage keeps its state: in memory, or in a RocksDB on the worker's machine with a cache in front.
enum class Store : std::uint8_t { kMemory, kRocksDb };
enum class OnErrorThen : std::uint8_t { kDeadLetter, kSkip, kFail, kParkKey };
enum class PluginKind : std::uint8_t { kSource, kStage, kSink };
/// How the target of a sink may be shared among workers.
enum class Sharing : std::uint8_t { kSingle, kShard, kAny };

/// What a stage library says of one of its stages (`weir-stage --describe`).
struct Plugin {
  std::string name;
  PluginKind kind = PluginKind::kStage;
  std::vector<std::string> inputs;   ///< port names; ["in"] unless the stage says otherwise, empty for a source
  std::vector<std::string> outputs;  ///< port names; ["out"] unless the stage says otherwise, empty for a sink
  bool keyed = false;                ///< calls state()
  bool key_preserving = false;       ///< emits each record under the key that it came with
  bool mergeable = false;
  bool deterministic = true;
  bool on_watermark = false;  ///< a stage that wants to be told how far event time has come
  bool local = false;         ///< a source whose splits are things of the host that found them
  Sharing sharing = Sharing::kSingle;
  std::string schema;   ///< JSON Schema draft-07 of its configuration, as text; "" takes no configuration
  std::string library;  ///< absolute path of the library that holds it
};

/// A stream has so many at most.
inline constexpr std::uint32_t kShardsMax = 65536;
/// One that learns its boundaries from a sample has fewer, so that each shard is found in it.
inline constexpr std::uint32_t kLearnedShardsMax = 256;
/// Of one stage.
inline constexpr std::uint32_t kWorkersMax = 1024;

/// How the records of an unkeyed stream come to its lanes, which are its shards, and in which proportion these are
/// served.
struct Priority {
  std::vector<std::uint32_t> weights;  ///< by level, the most urgent first; empty: the stream has no lanes
  std::optional<std::string> field;    ///< JSON Pointer into the value; absent: the header kPriorityHeader
  std::uint32_t fallback = 0;          ///< level of a record that names none
  friend bool operator==(const Priority&, const Priority&) = default;
};
inline constexpr std::string_view kPriorityHeader = "priority";

/// One named flow of records.
struct Stream {
  std::string name;
  Transport transport = Transport::kQueue;
  PartitionBy partition = PartitionBy::kNone;
  std::uint32_t shards = 1;
  /// kRange: where the second and each later shard begins, in rising order, all numbers or all texts.
  std::vector<Boundary> boundaries;
  /// kRange: there are none here, the broker learns them from the keys and moves them as these change.
  bool learns_boundaries = false;
  /// JSON Pointers into the value that replace the key; empty: the key that the stage emitted.
  std::vector<std::string> key;
  bool key_is_list = false;  ///< "key" was a list: the key is an array, of one element too
  HotKeys hot_keys = HotKeys::kNone;
  Dispatch dispatch = Dispatch::kLeastLoaded;
  Priority priority;  ///< under kPriority
  std::uint64_t backlog_bytes_max = 0;
  Durability durability = Durability::kFsync;
  Compression compression = Compression::kNone;
  bool external_in = false;   ///< records also come from programs outside
  bool external_out = false;  ///< read by named groups outside
  bool loop = false;          ///< it closes a cycle
  /// Records that all groups have consumed are kept for a replay until they are older than `retention_time` or take
  /// more than `retention_bytes`; 0: not bounded by it. Both 0: they are not kept.
  std::chrono::microseconds retention_time{0};
  std::uint64_t retention_bytes = 0;
  [[nodiscard]] bool retains() const { return retention_time.count() != 0 || retention_bytes != 0; }
  /// kPubSub: each publishing worker keeps the last record of each key for readers that come later, so many bytes of
  /// them; 0: none.
  std::uint64_t last_values_bytes = 0;
  bool resting = false;  ///< only a data directory knows it: the file no longer has it
};

/// A port of a stage joined to a stream, by index into Topology::streams.
struct PortBinding {
  std::string port;
  std::uint32_t stream = 0;
  bool resting = false;  ///< the stage no longer reads it: its place there is kept
};

/// One step of the topology.
struct StageSpec {
  std::string name;
  std::string plugin;
  std::uint32_t workers = 1;
  std::uint32_t workers_max = 0;     ///< where not 0, their number follows the load: from `workers` to this
  std::vector<PortBinding> inputs;   ///< several may name one port
  std::vector<PortBinding> outputs;  ///< a port at most once
  std::string config;                ///< JSON text, validated, paths absolute; "${...}" still as written
  std::uint64_t memory_bytes = 0;
  std::uint32_t retries = 0;
  OnErrorThen then = OnErrorThen::kDeadLetter;
  std::uint64_t dead_letter_bytes_max = 0;
  std::uint64_t parked_bytes_max = 0;
  std::chrono::microseconds commit_after{0};
  std::chrono::microseconds deadline{0};  ///< the longest that one record may take; 0: no end
  PluginKind kind = PluginKind::kStage;
  bool keyed = false;
  bool key_preserving = false;
  bool local = false;
  Store store = Store::kMemory;
  std::string state_path;  ///< where a RocksDB lies; "": below the data directory
  Sharing sharing = Sharing::kSingle;
  /// The stage whose workers host this one: itself, or the head of its chain of fused streams. Index into stages.
  std::uint32_t host = 0;
  bool resting = false;  ///< only a data directory knows it: the file no longer has it, its cursors and state are kept
};

struct BrokerSpec {
  std::string data_dir;  ///< as written, or ".weir/<name>"; counts from the working directory
  std::string listen;    ///< "" for ipc sockets in the data directory, or tcp://host:port
  Durability durability = Durability::kFsync;
  std::chrono::microseconds interval{0};
  std::uint64_t segment_bytes = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t transaction_bytes_max = 0;
};

/// A topology as resolved: every default filled in, every name checked, every path absolute.
struct Topology {
  std::string name;
  std::vector<std::string> libraries;  ///< absolute
  BrokerSpec broker;
  std::optional<std::string> http;  ///< host:port; absent where the file says null
  bool http_is_default = true;      ///< a free port may be taken where the default is in use
  std::vector<Stream> streams;      ///< in the order of the file; in a data directory by number (revise.h)
  std::vector<StageSpec> stages;    ///< the same

  [[nodiscard]] const Stream* find_stream(std::string_view name) const;
  [[nodiscard]] const StageSpec* find_stage(std::string_view name) const;
};

}  // namespace weir
