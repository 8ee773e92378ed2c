// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/resolved_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <vector>

#include "sdk/topology/choices.h"
#include "sdk/topology/hot_keys.h"

namespace weir {
namespace {

using Json = nlohmann::ordered_json;

// One visitor per struct, used by writer and reader alike, so that the two cannot drift.

/// Puts each field into an object.
class Writer {
 public:
  explicit Writer(Json& object) : object_(object) { object_ = Json::object(); }

  template <typename T>
  void field(const char* name, const T& value) {
    object_[name] = value;
  }
  void field(const char* name, const std::chrono::microseconds& value) { object_[name] = value.count(); }
  template <typename T>
  void later(const char* name, const T& value) {
    field(name, value);
  }
  void flag(const char* name, bool value) {
    if (value) field(name, value);
  }
  void natural_or_none(const char* name, std::uint64_t value) {
    if (value != 0) field(name, value);
  }
  /// Only where there is any.
  void priority(const char* name, const Priority& value) {
    if (!value.weights.empty()) part(name, value);
  }
  /// Only where there is anything to say.
  void hot_keys(const char* name, HotKeys value) {
    if (value != HotKeys::kNone) word(name, value, kHotKeysResolved);
  }
  void numbers(const char* name, const std::vector<std::uint32_t>& values) { object_[name] = values; }
  /// Only where there are any.
  void boundaries(const char* name, const std::vector<Boundary>& values) {
    for (const Boundary& value : values) std::visit([&](const auto& each) { object_[name].push_back(each); }, value);
  }
  void field(const char* name, const std::optional<std::string>& value) {
    object_[name] = value ? Json(*value) : Json(nullptr);
  }
  template <typename T, std::size_t N>
  void word(const char* name, const T& value, const std::array<Choice<T>, N>& choices) {
    object_[name] = word_of(choices, value);
  }
  template <typename T, std::size_t N>
  void later_word(const char* name, const T& value, const std::array<Choice<T>, N>& choices) {
    word(name, value, choices);
  }
  template <typename T>
  void list(const char* name, const std::vector<T>& parts) {
    Json array = Json::array();
    for (const T& part : parts) {
      Json object;
      Writer writer(object);
      visit(writer, part);
      array.push_back(std::move(object));
    }
    object_[name] = std::move(array);
  }
  template <typename T>
  void part(const char* name, const T& value) {
    Json object;
    Writer writer(object);
    visit(writer, value);
    object_[name] = std::move(object);
  }

 private:
  Json& object_;
};

/// Takes each field out of an object; throws std::runtime_error at the first that is not as a Writer leaves it.
class Reader {
 public:
  explicit Reader(const Json& object) : object_(object) {
    if (!object.is_object()) throw std::runtime_error("an object is expected");
  }
  /// Every field of the object was asked for.
  void done() const {
    if (taken_ != object_.size()) throw std::runtime_error("there is a field that this version does not know");
  }

  void field(const char* name, std::string& value) {
    if (!take(name).is_string()) bad(name);
    value = take_again(name).get<std::string>();
  }
  void field(const char* name, bool& value) {
    if (!take(name).is_boolean()) bad(name);
    value = take_again(name).get<bool>();
  }
  void field(const char* name, std::uint32_t& value) {
    value = static_cast<std::uint32_t>(natural(name, std::numeric_limits<std::uint32_t>::max()));
  }
  void field(const char* name, std::uint64_t& value) {
    value = natural(name, std::numeric_limits<std::uint64_t>::max());
  }
  void field(const char* name, std::chrono::microseconds& value) {
    value = std::chrono::microseconds(natural(name, std::numeric_limits<std::int64_t>::max()));
  }
  /// A field that directories of earlier versions do not have: it keeps what it is without.
  template <typename T>
  void later(const char* name, T& value) {
    if (object_.contains(name)) field(name, value);
  }
  /// A field that is there only where it is not 0.
  void natural_or_none(const char* name, std::uint64_t& value) { later(name, value); }
  /// A field that is there only where it is true.
  void flag(const char* name, bool& value) { later(name, value); }
  void field(const char* name, std::vector<std::string>& value) {
    if (!take(name).is_array()) bad(name);
    for (const Json& text : take_again(name)) {
      if (!text.is_string()) bad(name);
      value.push_back(text.get<std::string>());
    }
  }
  void priority(const char* name, Priority& value) {
    if (object_.contains(name)) part(name, value);
  }
  void hot_keys(const char* name, HotKeys& value) { later_word(name, value, kHotKeysResolved); }
  void numbers(const char* name, std::vector<std::uint32_t>& values) {
    if (!take(name).is_array()) bad(name);
    for (const Json& each : take_again(name)) {
      if (!each.is_number_unsigned() || each.get<std::uint64_t>() > std::numeric_limits<std::uint32_t>::max())
        bad(name);
      values.push_back(each.get<std::uint32_t>());
    }
  }
  void boundaries(const char* name, std::vector<Boundary>& values) {
    if (!object_.contains(name)) return;
    if (!take(name).is_array()) bad(name);
    for (const Json& each : take_again(name)) {
      if (each.is_number_unsigned()) {
        values.emplace_back(each.get<std::uint64_t>());
      } else if (each.is_number_integer()) {
        values.emplace_back(each.get<std::int64_t>());
      } else if (each.is_number_float()) {
        values.emplace_back(each.get<double>());
      } else if (each.is_string()) {
        values.emplace_back(each.get<std::string>());
      } else {
        bad(name);
      }
    }
  }
  void field(const char* name, std::optional<std::string>& value) {
    const Json& found = take(name);
    if (!found.is_null() && !found.is_string()) bad(name);
    if (found.is_string()) value = found.get<std::string>();
  }
  template <typename T, std::size_t N>
  void word(const char* name, T& value, const std::array<Choice<T>, N>& choices) {
    std::string text;
    field(name, text);
    const Choice<T>* choice = find_choice(choices, text);
    if (choice == nullptr || !choice->built) bad(name);
    value = choice->value;
  }
  template <typename T, std::size_t N>
  void later_word(const char* name, T& value, const std::array<Choice<T>, N>& choices) {
    if (object_.contains(name)) word(name, value, choices);
  }
  template <typename T>
  void list(const char* name, std::vector<T>& parts) {
    if (!take(name).is_array()) bad(name);
    for (const Json& object : take_again(name)) read(object, parts.emplace_back());
  }
  template <typename T>
  void part(const char* name, T& value) {
    read(take(name), value);
  }

 private:
  template <typename T>
  static void read(const Json& object, T& value) {
    Reader reader(object);
    visit(reader, value);
    reader.done();
  }
  const Json& take(const char* name) {
    ++taken_;
    return take_again(name);
  }
  const Json& take_again(const char* name) const {
    const auto found = object_.find(name);
    if (found == object_.end()) throw std::runtime_error(fmt::format("\"{}\" is missing", name));
    return *found;
  }
  std::uint64_t natural(const char* name, std::uint64_t max) {
    const Json& found = take(name);
    if (!found.is_number_unsigned() || found.get<std::uint64_t>() > max) bad(name);
    return found.get<std::uint64_t>();
  }
  [[noreturn]] static void bad(const char* name) {
    throw std::runtime_error(fmt::format("\"{}\" is not as expected", name));
  }

  const Json& object_;
  std::size_t taken_ = 0;
};

template <typename T, typename U>
concept Maybe = std::is_same_v<std::remove_const_t<T>, U>;

template <typename Visitor, Maybe<PortBinding> T>
void visit(Visitor& visitor, T& binding) {
  visitor.field("port", binding.port);
  visitor.field("stream", binding.stream);
  visitor.flag("resting", binding.resting);
}

template <typename Visitor, Maybe<Priority> T>
void visit(Visitor& visitor, T& priority) {
  visitor.numbers("weights", priority.weights);
  visitor.field("field", priority.field);
  visitor.field("fallback", priority.fallback);
}

template <typename Visitor, Maybe<Stream> T>
void visit(Visitor& visitor, T& stream) {
  visitor.field("name", stream.name);
  visitor.word("transport", stream.transport, kTransports);
  visitor.word("partition", stream.partition, kPartitions);
  visitor.field("shards", stream.shards);
  visitor.boundaries("boundaries", stream.boundaries);
  visitor.flag("learns_boundaries", stream.learns_boundaries);
  visitor.field("key", stream.key);
  visitor.field("key_is_list", stream.key_is_list);
  visitor.word("dispatch", stream.dispatch, kDispatches);
  visitor.priority("priority", stream.priority);
  visitor.field("backlog_bytes_max", stream.backlog_bytes_max);
  visitor.word("durability", stream.durability, kDurabilities);
  visitor.later_word("compression", stream.compression, kCompressions);
  visitor.field("external_in", stream.external_in);
  visitor.flag("external_out", stream.external_out);
  visitor.flag("loop", stream.loop);
  visitor.later("retention_time_us", stream.retention_time);
  visitor.later("retention_bytes", stream.retention_bytes);
  visitor.hot_keys("hot_keys", stream.hot_keys);
  visitor.natural_or_none("last_values_bytes", stream.last_values_bytes);
  visitor.flag("resting", stream.resting);
}

template <typename Visitor, Maybe<StageSpec> T>
void visit(Visitor& visitor, T& stage) {
  visitor.field("name", stage.name);
  visitor.field("plugin", stage.plugin);
  visitor.field("workers", stage.workers);
  visitor.later("workers_max", stage.workers_max);
  visitor.list("inputs", stage.inputs);
  visitor.list("outputs", stage.outputs);
  visitor.field("config", stage.config);
  visitor.field("memory_bytes", stage.memory_bytes);
  visitor.field("retries", stage.retries);
  visitor.word("then", stage.then, kOnErrors);
  visitor.field("dead_letter_bytes_max", stage.dead_letter_bytes_max);
  visitor.later("parked_bytes_max", stage.parked_bytes_max);
  visitor.field("commit_after_us", stage.commit_after);
  visitor.later("deadline_us", stage.deadline);
  visitor.word("kind", stage.kind, kPluginKinds);
  visitor.field("keyed", stage.keyed);
  visitor.field("key_preserving", stage.key_preserving);
  visitor.later("local", stage.local);
  visitor.later_word("store", stage.store, kStores);
  visitor.later("state_path", stage.state_path);
  visitor.word("sharing", stage.sharing, kSharings);
  visitor.field("host", stage.host);
  visitor.flag("resting", stage.resting);
}

template <typename Visitor, Maybe<BrokerSpec> T>
void visit(Visitor& visitor, T& broker) {
  visitor.field("data_dir", broker.data_dir);
  visitor.field("listen", broker.listen);
  visitor.word("durability", broker.durability, kDurabilities);
  visitor.field("interval_us", broker.interval);
  visitor.field("segment_bytes", broker.segment_bytes);
  visitor.field("memory_bytes", broker.memory_bytes);
  visitor.field("transaction_bytes_max", broker.transaction_bytes_max);
}

template <typename Visitor, Maybe<Topology> T>
void visit(Visitor& visitor, T& topology) {
  visitor.field("name", topology.name);
  visitor.field("libraries", topology.libraries);
  visitor.part("broker", topology.broker);
  visitor.field("http", topology.http);
  visitor.field("http_is_default", topology.http_is_default);
  visitor.list("streams", topology.streams);
  visitor.list("stages", topology.stages);
}

struct File {
  std::uint32_t version = kResolvedVersion;
  Topology topology;
};

template <typename Visitor, Maybe<File> T>
void visit(Visitor& visitor, T& file) {
  visitor.field("version", file.version);
  visitor.part("topology", file.topology);
}

Json to_json(const Topology& topology) {
  Json json;
  Writer writer(json);
  const File file{kResolvedVersion, topology};
  visit(writer, file);
  return json;
}

/// Indices lead somewhere, so that nobody who reads the result has to look.
void check_indices(const Topology& topology) {
  for (const StageSpec& stage : topology.stages) {
    for (const auto* bindings : {&stage.inputs, &stage.outputs}) {
      for (const PortBinding& binding : *bindings) {
        if (binding.stream >= topology.streams.size()) throw std::runtime_error("a port is joined to no stream");
      }
    }
    if (stage.host >= topology.stages.size() || topology.stages[stage.host].host != stage.host)
      throw std::runtime_error("a stage has no host");
    if (stage.workers == 0) throw std::runtime_error("a stage has no workers");
    if (stage.workers_max != 0 && stage.workers_max < stage.workers)
      throw std::runtime_error("a stage has fewer workers at most than at least");
  }
  for (const Stream& stream : topology.streams) {
    const auto second = shared_part(topology, stream);
    if (stream.hot_keys == HotKeys::kSplit && (!second || topology.streams[*second].shards != stream.shards))
      throw std::runtime_error("a stream has no place for records of hot keys");
    if (stream.shards == 0 || stream.shards > kShardsMax)
      throw std::runtime_error(fmt::format("a stream has {} shards", stream.shards));
    if (stream.dispatch == Dispatch::kPriority &&
        (stream.priority.weights.size() != stream.shards || stream.priority.fallback >= stream.shards ||
         std::ranges::find(stream.priority.weights, 0U) != stream.priority.weights.end()))
      throw std::runtime_error("a stream has other levels than shards");
    if (stream.learns_boundaries && (stream.partition != PartitionBy::kRange || !stream.boundaries.empty() ||
                                     stream.shards < 2 || stream.shards > kLearnedShardsMax))
      throw std::runtime_error("a stream learns boundaries that it cannot have");
    if (stream.partition == PartitionBy::kRange && !stream.learns_boundaries &&
        stream.shards != stream.boundaries.size() + 1)
      throw std::runtime_error("a stream has other boundaries than shards");
    for (std::size_t i = 1; i < stream.boundaries.size(); ++i) {
      if (compare(ordinal_of(stream.boundaries[i - 1]), ordinal_of(stream.boundaries[i])) != std::weak_ordering::less)
        throw std::runtime_error("the boundaries of a stream do not rise");
    }
  }
}

}  // namespace

std::string encode_resolved(const Topology& topology) {
  return to_json(topology).dump(2, ' ', false, Json::error_handler_t::replace);
}

std::string encode_resolved_briefly(const Topology& topology) {
  return to_json(topology).dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Topology> decode_resolved(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    const auto version = json.is_object() ? json.find("version") : json.end();
    if (version == json.end() || *version != kResolvedVersion) {
      return {Code::kInvalid,
              fmt::format("the resolved topology has version {}, this program reads version {}: run the "
                          "Weir that wrote it",
                          version == json.end() ? std::string("none") : version->dump(), kResolvedVersion)};
    }
    File file;
    Reader reader(json);
    visit(reader, file);
    reader.done();
    check_indices(file.topology);
    return std::move(file.topology);
  } catch (const std::exception& error) {  // nlohmann's and ours alike
    return {Code::kInvalid, fmt::format("the resolved topology is damaged: {}", error.what())};
  }
}

}  // namespace weir
