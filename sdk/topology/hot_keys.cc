// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/hot_keys.h"

#include <algorithm>
#include <utility>

namespace weir {
namespace {

std::optional<std::uint32_t> index_of(const Topology& topology, const std::string& name, HotKeys kind) {
  const Stream* found = topology.find_stream(name);
  if (found == nullptr || found->hot_keys != kind) return std::nullopt;
  return static_cast<std::uint32_t>(found - topology.streams.data());
}

const PortBinding* joined(const std::vector<PortBinding>& bindings, std::uint32_t stream) {
  const auto found = std::ranges::find(bindings, stream, &PortBinding::stream);
  return found == bindings.end() ? nullptr : &*found;
}

/// A stream with the shards of `stream`, at the end of all.
Stream like(const Stream& stream, std::string name, HotKeys kind) {
  Stream added = stream;
  added.name = std::move(name);
  added.hot_keys = kind;
  added.key.clear();  // it is the record's by then
  added.key_is_list = false;
  added.external_out = false;
  return added;
}

}  // namespace

std::string shared_part_name(std::string_view stream) { return std::string(stream) + ".hot"; }
std::string partials_name(std::string_view stage) { return std::string(stage) + ".partials"; }

std::optional<std::uint32_t> shared_part(const Topology& topology, const Stream& stream) {
  if (stream.hot_keys != HotKeys::kSplit) return std::nullopt;
  return index_of(topology, shared_part_name(stream.name), HotKeys::kShared);
}

std::optional<std::uint32_t> partials_of(const Topology& topology, const StageSpec& stage) {
  const auto partials = [&](const PortBinding& output) {
    return topology.streams[output.stream].hot_keys == HotKeys::kPartials;
  };
  const auto found = std::ranges::find_if(stage.outputs, partials);
  if (found == stage.outputs.end()) return std::nullopt;
  return found->stream;
}

void add_hot_key_streams(Topology& topology) {
  const std::size_t written = topology.streams.size();
  for (std::uint32_t stream = 0; stream < written; ++stream) {
    if (topology.streams[stream].hot_keys != HotKeys::kSplit) continue;
    const Stream split = topology.streams[stream];
    const auto hot = static_cast<std::uint32_t>(topology.streams.size());
    topology.streams.push_back(like(split, shared_part_name(split.name), HotKeys::kShared));
    for (StageSpec& stage : topology.stages) {
      if (joined(stage.outputs, stream) != nullptr) stage.outputs.push_back({"", hot});
      const PortBinding* input = joined(stage.inputs, stream);
      if (input == nullptr) continue;
      stage.inputs.push_back({std::string(input->port), hot});
      if (partials_of(topology, stage)) continue;
      Stream partials = like(split, partials_name(stage.name), HotKeys::kPartials);
      partials.loop = true;
      partials.external_in = false;
      partials.retention_time = {};
      partials.retention_bytes = 0;
      const auto added = static_cast<std::uint32_t>(topology.streams.size());
      topology.streams.push_back(std::move(partials));
      stage.inputs.push_back({"", added});
      stage.outputs.push_back({"", added});
    }
  }
}

}  // namespace weir
