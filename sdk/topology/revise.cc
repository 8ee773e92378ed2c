// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/revise.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "sdk/base/units.h"
#include "sdk/topology/json_convert.h"
#include "sdk/topology/names.h"

namespace weir {
namespace {

Status differs(const std::string& what) {
  return {Code::kRefused, fmt::format("{}; use another data directory, or --fresh to start over", what)};
}

/// The number that each part of `now` gets: that of its name in `old`, or the next free one.
template <typename Part>
std::vector<std::uint32_t> numbers(const std::vector<Part>& old, const std::vector<Part>& now) {
  std::vector<std::uint32_t> given;
  auto next = static_cast<std::uint32_t>(old.size());
  for (const Part& part : now) {
    const auto known = std::ranges::find(old, part.name, &Part::name);
    given.push_back(known == old.end() ? next++ : static_cast<std::uint32_t>(known - old.begin()));
  }
  return given;
}

/// Offsets, keys and places in the journal mean something only as long as these stay.
Status same_stream(const Stream& a, const Stream& b) {
  const char* field =
      a.transport != b.transport ? "transport"
      : a.partition != b.partition || a.boundaries != b.boundaries || a.learns_boundaries != b.learns_boundaries
          ? "partition"
      : a.hot_keys != b.hot_keys                                           ? "hot_keys"
      : a.shards != b.shards                                               ? "shards"
      : a.key != b.key || a.key_is_list != b.key_is_list                   ? "key"
      : a.external_in != b.external_in || a.external_out != b.external_out ? "external"
      : a.loop != b.loop                                                   ? "loop"
                                                                           : nullptr;
  if (field == nullptr) return {};
  return differs(fmt::format("\"{}\" of stream {} differs from the directory's", field, in_quotes(b.name)));
}

bool reads(const std::vector<PortBinding>& bindings, std::uint32_t stream) {
  return std::ranges::find(bindings, stream, &PortBinding::stream) != bindings.end();
}

/// What a stage read keeps its turn, since lanes are numbered by it; what it no longer reads rests there.
std::vector<PortBinding> merged_inputs(const std::vector<PortBinding>& old, const std::vector<PortBinding>& now,
                                       const std::vector<Stream>& streams) {
  std::vector<PortBinding> merged;
  const auto take = [&](std::uint32_t stream) {
    for (const PortBinding& binding : now) {
      if (binding.stream == stream) merged.push_back(binding);
    }
  };
  for (const PortBinding& before : old) {
    if (reads(merged, before.stream)) continue;
    if (reads(now, before.stream)) {
      take(before.stream);
    } else if (streams[before.stream].transport != Transport::kFused) {  // nothing waits in a fused stream
      merged.push_back(before);
      merged.back().resting = true;
    }
  }
  for (const PortBinding& binding : now) {
    if (!reads(merged, binding.stream)) take(binding.stream);
  }
  return merged;
}

/// The file or folder that a sink writes, where its config names one.
std::string target_of(const StageSpec& stage) {
  if (stage.kind != PluginKind::kSink) return "";
  const Result<JsonNode> config = parse_json_strictly(stage.config);
  if (!config.ok()) return "";
  const auto object = convert_json<nlohmann::json>(*config);
  if (!object.is_object() || !object.contains("path") || !object.at("path").is_string()) return "";
  return object.at("path").get<std::string>();
}

/// A sink that starts anew replaces what is there: not what one wrote that is left out, and has its positions kept.
Status keeps_targets(const Topology& next, std::size_t known) {
  for (std::size_t added = known; added < next.stages.size(); ++added) {
    const std::string target = target_of(next.stages[added]);
    for (std::size_t left_out = 0; left_out < known && !target.empty(); ++left_out) {
      const StageSpec& before = next.stages[left_out];
      if (!before.resting || before.plugin != next.stages[added].plugin || target_of(before) != target) continue;
      return {Code::kRefused,
              fmt::format("stage {} would start anew and replace {}, which {} has written, a stage that this file "
                          "leaves out: give {} another \"path\", or the stage its old name",
                          in_quotes(next.stages[added].name), target, in_quotes(before.name),
                          in_quotes(next.stages[added].name))};
    }
  }
  return {};
}

}  // namespace

bool same_config(const std::string& a, const std::string& b) {
  if (a == b) return true;
  const Result<JsonNode> x = parse_json_strictly(a);
  const Result<JsonNode> y = parse_json_strictly(b);
  return x.ok() && y.ok() && convert_json<nlohmann::json>(*x) == convert_json<nlohmann::json>(*y);
}

std::string config_difference(const std::string& a, const std::string& b) {
  const Result<JsonNode> x = parse_json_strictly(a);
  const Result<JsonNode> y = parse_json_strictly(b);
  if (!x.ok() || !y.ok()) return "";
  const auto before = convert_json<nlohmann::json>(*x);
  const auto now = convert_json<nlohmann::json>(*y);
  if (!before.is_object() || !now.is_object()) return "";
  const auto text = [](const nlohmann::json& config, const std::string& field) {
    return config.contains(field) ? config.at(field).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                                  : std::string("not there");
  };
  nlohmann::json all = before;
  all.update(now);
  for (const auto& [field, ignored] : all.items()) {
    const std::string was = text(before, field);
    const std::string is = text(now, field);
    if (was != is) return fmt::format(" (\"{}\" was {} and is {})", field, was, is);
  }
  return "";
}

Status same_directory(const Topology& old, const Topology& now) {
  if (old.name != now.name)
    return differs(
        fmt::format("the directory belongs to topology {}, not {}", in_quotes(old.name), in_quotes(now.name)));
  if (old.broker.segment_bytes != now.broker.segment_bytes) {
    return differs(fmt::format("\"segment_size\" was {} when the directory was made and is {} now",
                               format_size(old.broker.segment_bytes), format_size(now.broker.segment_bytes)));
  }
  return {};
}

Result<Topology> revise(const Topology& old, const Topology& now) {
  if (Status same = same_directory(old, now); !same) return same.error();
  const std::vector<std::uint32_t> stream_numbers = numbers(old.streams, now.streams);
  const std::vector<std::uint32_t> stage_numbers = numbers(old.stages, now.stages);
  Topology next = now;

  next.streams = old.streams;
  for (Stream& stream : next.streams) stream.resting = true;
  for (std::size_t i = 0; i < now.streams.size(); ++i) {
    const std::uint32_t number = stream_numbers[i];
    if (number < old.streams.size()) {
      if (Status same = same_stream(old.streams[number], now.streams[i]); !same) return same.error();
      next.streams[number] = now.streams[i];
    } else {
      next.streams.push_back(now.streams[i]);
    }
  }

  next.stages = old.stages;
  for (StageSpec& stage : next.stages) stage.resting = true;
  for (std::size_t i = 0; i < now.stages.size(); ++i) {
    const std::uint32_t number = stage_numbers[i];
    StageSpec stage = now.stages[i];
    stage.host = stage_numbers[stage.host];
    for (PortBinding& output : stage.outputs) output.stream = stream_numbers[output.stream];
    for (PortBinding& input : stage.inputs) input.stream = stream_numbers[input.stream];
    if (number >= old.stages.size()) {
      next.stages.push_back(std::move(stage));
      continue;
    }
    const StageSpec& before = old.stages[number];
    if (before.host != stage.host) {
      // Its state lies by the shards of the stage that hosts it.
      const auto place = [](const std::vector<StageSpec>& stages, std::size_t at) {
        const std::uint32_t host = stages[at].host;
        return host == at ? std::string("on its own") : fmt::format("fused into {}", in_quotes(stages[host].name));
      };
      return differs(fmt::format("stage {} was {} and is {} now", in_quotes(stage.name), place(old.stages, number),
                                 place(now.stages, i)))
          .error();
    }
    stage.inputs = merged_inputs(before.inputs, stage.inputs, next.streams);
    next.stages[number] = std::move(stage);
  }
  for (std::uint32_t number = 0; number < old.stages.size(); ++number) {
    StageSpec& stage = next.stages[number];
    // A stage that leaves a chain which goes on without it has no place of its own in any stream.
    if (!stage.resting || stage.host == number || next.stages[stage.host].resting) continue;
    stage.inputs.clear();
    stage.outputs.clear();
  }
  if (Status kept = keeps_targets(next, old.stages.size()); !kept) return kept.error();
  return next;
}

Topology without_resting(Topology topology) {
  for (std::uint32_t number = 0; number < topology.stages.size(); ++number) {
    StageSpec& stage = topology.stages[number];
    if (stage.resting) {
      stage.inputs.clear();
      stage.outputs.clear();
      stage.host = number;
    }
    std::erase_if(stage.inputs, [](const PortBinding& binding) { return binding.resting; });
  }
  return topology;
}

}  // namespace weir
