// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sdk/topology/choices.h"
#include "sdk/topology/hot_keys.h"

namespace weir {
namespace {

/// One arrow: a stream from a stage (or from outside) to a stage.
struct Arrow {
  std::string from;  ///< node
  std::string to;    ///< node
  const Stream* stream;
};

std::string stage_node(std::size_t index) { return fmt::format("stage{}", index); }
std::string outside_node(std::size_t stream) { return fmt::format("outside{}", stream); }
std::string groups_node(std::size_t stream) { return fmt::format("groups{}", stream); }

bool has(const std::vector<PortBinding>& bindings, std::size_t stream) {
  return std::ranges::any_of(bindings, [&](const PortBinding& binding) { return binding.stream == stream; });
}

std::vector<Arrow> arrows(const Topology& topology) {
  std::vector<Arrow> found;
  for (std::size_t s = 0; s < topology.streams.size(); ++s) {
    if (is_added(topology.streams[s])) continue;  // a person drew one arrow
    std::vector<std::string> from;
    for (std::size_t i = 0; i < topology.stages.size(); ++i) {
      if (has(topology.stages[i].outputs, s)) from.push_back(stage_node(i));
    }
    if (topology.streams[s].external_in) from.push_back(outside_node(s));
    for (const std::string& node : from) {
      for (std::size_t i = 0; i < topology.stages.size(); ++i) {
        if (has(topology.stages[i].inputs, s)) found.push_back({node, stage_node(i), &topology.streams[s]});
      }
      if (topology.streams[s].external_out) found.push_back({node, groups_node(s), &topology.streams[s]});
    }
  }
  return found;
}

/// "words, hash x 32", "lines", "pairs, fused".
std::string stream_label(const Stream& stream) {
  if (stream.transport != Transport::kQueue)
    return fmt::format("{}, {}", stream.name, word_of(kTransports, stream.transport));
  if (stream.partition == PartitionBy::kNone && stream.shards == 1) return stream.name;
  return fmt::format("{}, {} x {}{}", stream.name, word_of(kPartitions, stream.partition), stream.shards,
                     stream.hot_keys == HotKeys::kSplit ? ", hot keys split" : "");
}

/// Plugin names come from libraries: what could end a label does not get into one.
std::string plain(std::string_view text) {
  std::string kept;
  for (const char c : text)
    kept += c == '"' || c == '\\' || c == '<' || c == '>' || static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  return kept;
}

std::string workers_label(const StageSpec& stage) {
  if (stage.workers_max != 0) return fmt::format(" x {} to {}", stage.workers, stage.workers_max);
  return stage.workers == 1 ? "" : fmt::format(" x {}", stage.workers);
}

}  // namespace

std::string to_mermaid(const Topology& topology) {
  std::string text = "flowchart LR\n";
  for (std::size_t i = 0; i < topology.stages.size(); ++i) {
    const StageSpec& stage = topology.stages[i];
    const bool end = stage.kind != PluginKind::kStage;
    text += fmt::format("  {}{}\"{}{}<br/>{}\"{}\n", stage_node(i), end ? "([" : "[", plain(stage.name),
                        workers_label(stage), plain(stage.plugin), end ? "])" : "]");
  }
  for (std::size_t s = 0; s < topology.streams.size(); ++s) {
    if (topology.streams[s].external_in && !is_added(topology.streams[s]))
      text += fmt::format("  {}((\"outside\"))\n", outside_node(s));
    if (topology.streams[s].external_out) text += fmt::format("  {}((\"groups outside\"))\n", groups_node(s));
  }
  for (const Arrow& arrow : arrows(topology)) {
    text +=
        fmt::format("  {} {}|\"{}\"| {}\n", arrow.from, arrow.stream->transport == Transport::kFused ? "==>" : "-->",
                    plain(stream_label(*arrow.stream)), arrow.to);
  }
  return text;
}

std::string to_dot(const Topology& topology) {
  std::string text = fmt::format("digraph \"{}\" {{\n  rankdir=LR;\n  node [shape=box];\n", plain(topology.name));
  for (std::size_t i = 0; i < topology.stages.size(); ++i) {
    const StageSpec& stage = topology.stages[i];
    text += fmt::format("  {} [label=\"{}{}\\n{}\"{}];\n", stage_node(i), plain(stage.name), workers_label(stage),
                        plain(stage.plugin), stage.kind == PluginKind::kStage ? "" : ", style=rounded");
  }
  for (std::size_t s = 0; s < topology.streams.size(); ++s) {
    if (topology.streams[s].external_in && !is_added(topology.streams[s]))
      text += fmt::format("  {} [label=\"outside\", shape=circle];\n", outside_node(s));
    if (topology.streams[s].external_out)
      text += fmt::format("  {} [label=\"groups outside\", shape=circle];\n", groups_node(s));
  }
  for (const Arrow& arrow : arrows(topology)) {
    text += fmt::format("  {} -> {} [label=\"{}\"{}];\n", arrow.from, arrow.to, plain(stream_label(*arrow.stream)),
                        arrow.stream->transport == Transport::kFused ? ", style=bold" : "");
  }
  return text + "}\n";
}

}  // namespace weir
