// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir {

/// The objects of a topology file.
enum class FieldOwner : std::uint8_t {
  kTopology,
  kEngine,
  kBroker,
  kHttp,
  kStage,
  kWorkers,
  kState,
  kOnError,
  kStream,
  kPartition,
  kPriority,
  kRetention
};

/// One field of the topology file.
struct Field {
  FieldOwner owner;
  std::string_view name;
  std::string_view fallback;  ///< the default as JSON text; "" where there is none, or where it follows from others
  bool built = true;
};

/// Every field that this version knows, with its default: the only place where either stands. The reader refuses what
/// is not here, `resolved` is filled from here, and a test compares topologies/topology.schema.json with it.
inline constexpr std::array kFields = {
    Field{FieldOwner::kTopology, "$schema", ""},
    Field{FieldOwner::kTopology, "description", ""},
    Field{FieldOwner::kTopology, "name", ""},
    Field{FieldOwner::kTopology, "libraries", "[]"},
    Field{FieldOwner::kTopology, "engine", "{}"},
    Field{FieldOwner::kTopology, "broker", "{}"},
    Field{FieldOwner::kTopology, "http", "{}"},
    Field{FieldOwner::kTopology, "streams", "{}"},
    Field{FieldOwner::kTopology, "stages", ""},

    Field{FieldOwner::kEngine, "type", "\"broker\""},

    Field{FieldOwner::kBroker, "data_dir", ""},
    Field{FieldOwner::kBroker, "listen", ""},
    Field{FieldOwner::kBroker, "durability", "\"fsync\""},
    Field{FieldOwner::kBroker, "interval", "\"50ms\""},
    Field{FieldOwner::kBroker, "segment_size", "\"64MiB\""},
    Field{FieldOwner::kBroker, "memory", "\"128MiB\""},
    Field{FieldOwner::kBroker, "transaction_bytes_max", "\"8MiB\""},

    Field{FieldOwner::kHttp, "listen", "\"127.0.0.1:9464\""},

    Field{FieldOwner::kStage, "plugin", ""},
    Field{FieldOwner::kStage, "input", ""},
    Field{FieldOwner::kStage, "inputs", ""},
    Field{FieldOwner::kStage, "output", ""},
    Field{FieldOwner::kStage, "outputs", ""},
    Field{FieldOwner::kStage, "workers", "1"},
    Field{FieldOwner::kStage, "state", "{}"},
    Field{FieldOwner::kStage, "memory", "\"256MiB\""},
    Field{FieldOwner::kStage, "on_error", "{}"},
    Field{FieldOwner::kStage, "commit_after", "\"50ms\""},
    Field{FieldOwner::kStage, "config", "{}"},
    Field{FieldOwner::kStage, "deadline", "\"60s\""},
    Field{FieldOwner::kStage, "idle_after", "", false},

    Field{FieldOwner::kWorkers, "min", "1"},
    Field{FieldOwner::kWorkers, "max", ""},

    Field{FieldOwner::kState, "store", "\"memory\""},
    Field{FieldOwner::kState, "path", ""},

    Field{FieldOwner::kOnError, "retries", "0"},
    Field{FieldOwner::kOnError, "then", "\"dead_letter\""},
    Field{FieldOwner::kOnError, "kept_bytes_max", "\"256MiB\""},
    Field{FieldOwner::kOnError, "parked_bytes_max", "\"64MiB\""},

    Field{FieldOwner::kStream, "transport", "\"queue\""},
    Field{FieldOwner::kStream, "partition", "{}"},
    Field{FieldOwner::kStream, "shards", ""},
    Field{FieldOwner::kStream, "key", ""},
    Field{FieldOwner::kStream, "dispatch", "\"least_loaded\""},
    Field{FieldOwner::kStream, "priority", ""},
    Field{FieldOwner::kStream, "retention", "\"consumed\""},
    Field{FieldOwner::kStream, "max_backlog", "\"1GiB\""},
    Field{FieldOwner::kStream, "compression", "\"none\""},
    Field{FieldOwner::kStream, "durability", ""},
    Field{FieldOwner::kStream, "external", ""},
    Field{FieldOwner::kStream, "loop", "false"},
    Field{FieldOwner::kStream, "last_values", ""},

    Field{FieldOwner::kPartition, "by", "\"none\""},
    Field{FieldOwner::kPartition, "hot_keys", ""},
    Field{FieldOwner::kPartition, "boundaries", ""},

    Field{FieldOwner::kPriority, "field", ""},
    Field{FieldOwner::kPriority, "levels", ""},
    Field{FieldOwner::kPriority, "weights", ""},
    Field{FieldOwner::kPriority, "default", ""},

    Field{FieldOwner::kRetention, "time", ""},
    Field{FieldOwner::kRetention, "size", ""},
};

inline constexpr std::uint32_t kKeyedShardsDefault = 32;
inline constexpr std::uint32_t kUnkeyedShardsDefault = 1;
inline constexpr std::uint32_t kPriorityLevelsDefault = 3;

/// The entry of `kFields`, or null.
constexpr const Field* find_field(FieldOwner owner, std::string_view name) {
  for (const Field& field : kFields) {
    if (field.owner == owner && field.name == name) return &field;
  }
  return nullptr;
}

/// A word that a field may hold, and what it stands for.
template <typename T>
struct Choice {
  std::string_view word;
  T value;
  bool built = true;
};

/// The choice that `word` names, or null.
template <typename T, std::size_t N>
constexpr const Choice<T>* find_choice(const std::array<Choice<T>, N>& choices, std::string_view word) {
  for (const Choice<T>& choice : choices) {
    if (choice.word == word) return &choice;
  }
  return nullptr;
}

}  // namespace weir
