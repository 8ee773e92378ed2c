// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string_view>

#include "sdk/topology/fields.h"
#include "sdk/topology/topology.h"

namespace weir {

// The words of the fields that take one of a few, built or not; all that parse or print them use these lists.

inline constexpr std::array kDurabilities = {Choice<Durability>{"fsync", Durability::kFsync},
                                             Choice<Durability>{"interval", Durability::kInterval},
                                             Choice<Durability>{"none", Durability::kNone}};

inline constexpr std::array kTransports = {
    Choice<Transport>{"queue", Transport::kQueue}, Choice<Transport>{"fused", Transport::kFused},
    Choice<Transport>{"push_pull", Transport::kPushPull}, Choice<Transport>{"send_receive", Transport::kSendReceive},
    Choice<Transport>{"pub_sub", Transport::kPubSub}};

inline constexpr std::array kPartitions = {
    Choice<PartitionBy>{"none", PartitionBy::kNone}, Choice<PartitionBy>{"hash", PartitionBy::kHash},
    Choice<PartitionBy>{"modulo", PartitionBy::kModulo}, Choice<PartitionBy>{"range", PartitionBy::kRange}};

inline constexpr std::array kHotKeys = {Choice<HotKeys>{"none", HotKeys::kNone},
                                        Choice<HotKeys>{"split", HotKeys::kSplit}};
/// In a resolved topology: also the streams that Weir has added.
inline constexpr std::array kHotKeysResolved = {
    Choice<HotKeys>{"none", HotKeys::kNone}, Choice<HotKeys>{"split", HotKeys::kSplit},
    Choice<HotKeys>{"shared", HotKeys::kShared}, Choice<HotKeys>{"partials", HotKeys::kPartials}};

inline constexpr std::array kDispatches = {Choice<Dispatch>{"least_loaded", Dispatch::kLeastLoaded},
                                           Choice<Dispatch>{"round_robin", Dispatch::kRoundRobin},
                                           Choice<Dispatch>{"priority", Dispatch::kPriority}};

inline constexpr std::array kCompressions = {
    Choice<Compression>{"none", Compression::kNone}, Choice<Compression>{"lz4", Compression::kLz4},
    Choice<Compression>{"zstd", Compression::kZstd}, Choice<Compression>{"gzip", Compression::kNone, false},
    Choice<Compression>{"snappy", Compression::kNone, false}};

inline constexpr std::array kOnErrors = {
    Choice<OnErrorThen>{"dead_letter", OnErrorThen::kDeadLetter}, Choice<OnErrorThen>{"skip", OnErrorThen::kSkip},
    Choice<OnErrorThen>{"fail", OnErrorThen::kFail}, Choice<OnErrorThen>{"park_key", OnErrorThen::kParkKey}};

inline constexpr std::array kPluginKinds = {Choice<PluginKind>{"source", PluginKind::kSource},
                                            Choice<PluginKind>{"stage", PluginKind::kStage},
                                            Choice<PluginKind>{"sink", PluginKind::kSink}};

inline constexpr std::array kSharings = {Choice<Sharing>{"single", Sharing::kSingle},
                                         Choice<Sharing>{"shard", Sharing::kShard},
                                         Choice<Sharing>{"any", Sharing::kAny}};

/// Which way a stream leads out of the topology, or into it.
struct External {
  bool in = false;
  bool out = false;
};
inline constexpr std::array kExternals = {Choice<External>{"in", {true, false}}, Choice<External>{"out", {false, true}},
                                          Choice<External>{"both", {true, true}}};

// Fields with one value so far.
inline constexpr std::array kEngines = {Choice<bool>{"broker", true}, Choice<bool>{"kafka", false, false}};
inline constexpr std::array kStores = {Choice<Store>{"memory", Store::kMemory},
                                       Choice<Store>{"rocksdb", Store::kRocksDb}};
inline constexpr std::array kRetentions = {Choice<bool>{"consumed", true}, Choice<bool>{"forever", false, false},
                                           Choice<bool>{"all", false, false}, Choice<bool>{"compact", false, false}};

/// The word for `value`.
template <typename T, std::size_t N>
constexpr std::string_view word_of(const std::array<Choice<T>, N>& choices, T value) {
  for (const Choice<T>& choice : choices) {
    if (choice.built && choice.value == value) return choice.word;
  }
  return "";
}

}  // namespace weir
