// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/fill_defaults.h"

#include <utility>

#include "sdk/base/units.h"
#include "sdk/topology/choices.h"
#include "sdk/topology/fields.h"

namespace weir {
namespace {

using Kind = JsonNode::Kind;

void set(JsonNode& object, std::string_view name, JsonNode value) {
  JsonNode& member = object.at_or_add(name);
  value.name = name;
  member = std::move(value);
}

void set_if_absent(JsonNode& object, std::string_view name, JsonNode value) {
  if (object.find(name) == nullptr) set(object, name, std::move(value));
}

/// Adds what kFields says of `owner`, in its order.
void fill(JsonNode& object, FieldOwner owner) {
  for (const Field& field : kFields) {
    if (field.owner != owner || !field.built || field.fallback.empty()) continue;
    Result<JsonNode> fallback = parse_json_strictly(field.fallback);
    WEIR_CHECK(fallback.ok(), "defaults are JSON");
    set_if_absent(object, field.name, std::move(*fallback));
  }
}

void fill_stream(JsonNode& node, const Stream& stream) {
  if (stream.transport == Transport::kFused) {
    // Nothing that makes a queue applies: reading the result again must not be an error.
    set_if_absent(node, "compression", JsonNode::of_text("none"));
  } else if (is_direct(stream.transport)) {
    if (stream.transport != Transport::kPubSub)
      set_if_absent(node, "dispatch", JsonNode::of_text(std::string(word_of(kDispatches, stream.dispatch))));
    set_if_absent(node, "compression", JsonNode::of_text(std::string(word_of(kCompressions, stream.compression))));
  } else {
    fill(node, FieldOwner::kStream);
    fill(*node.find("partition"), FieldOwner::kPartition);
    set_if_absent(node, "shards", JsonNode::of_natural(stream.shards));
  }
  set_if_absent(node, "durability", JsonNode::of_text(std::string(word_of(kDurabilities, stream.durability))));
}

void fill_stage(JsonNode& node, const StageSpec& stage) {
  fill(node, FieldOwner::kStage);
  if (JsonNode& workers = *node.find("workers"); workers.is(Kind::kObject)) fill(workers, FieldOwner::kWorkers);
  JsonNode& state = *node.find("state");
  fill(state, FieldOwner::kState);
  if (!stage.state_path.empty()) set(state, "path", JsonNode::of_text(stage.state_path));
  fill(*node.find("on_error"), FieldOwner::kOnError);
  Result<JsonNode> config = parse_json_strictly(stage.config);
  WEIR_CHECK(config.ok(), "the reader writes configurations");
  set(node, "config", std::move(*config));
}

}  // namespace

std::string fill_defaults(JsonNode root, const Topology& topology) {
  fill(root, FieldOwner::kTopology);
  fill(*root.find("engine"), FieldOwner::kEngine);
  JsonNode& broker = *root.find("broker");
  // A transaction of the default size may be too large for the segment.
  set_if_absent(broker, "transaction_bytes_max", JsonNode::of_text(format_size(topology.broker.transaction_bytes_max)));
  fill(broker, FieldOwner::kBroker);
  set_if_absent(broker, "data_dir", JsonNode::of_text(topology.broker.data_dir));
  if (JsonNode& http = *root.find("http"); http.is(Kind::kObject)) fill(http, FieldOwner::kHttp);
  JsonNode libraries;
  libraries.kind = Kind::kArray;
  for (const std::string& library : topology.libraries) libraries.children.push_back(JsonNode::of_text(library));
  set(root, "libraries", std::move(libraries));
  JsonNode& streams = *root.find("streams");
  for (std::size_t i = 0; i < streams.children.size(); ++i) fill_stream(streams.children[i], topology.streams[i]);
  JsonNode& stages = *root.find("stages");
  for (std::size_t i = 0; i < stages.children.size(); ++i) fill_stage(stages.children[i], topology.stages[i]);
  return to_text(root, 2);
}

}  // namespace weir
