// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/compatible.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sdk/base/units.h"
#include "sdk/topology/json_convert.h"
#include "sdk/topology/names.h"

namespace weir {
namespace {

Status differs(const std::string& what) {
  return {Code::kRefused, fmt::format("{}; use another data directory, or --fresh to start over", what)};
}

/// The first name that only one of them has.
template <typename Part>
Status same_names(const std::string& noun, const std::vector<Part>& old, const std::vector<Part>& now) {
  for (const Part& part : old) {
    if (std::ranges::find(now, part.name, &Part::name) == now.end())
      return differs(fmt::format("{} {} is in the directory's topology, not in this one", noun, in_quotes(part.name)));
  }
  for (const Part& part : now) {
    if (std::ranges::find(old, part.name, &Part::name) == old.end())
      return differs(fmt::format("{} {} is in this topology, not in the directory's", noun, in_quotes(part.name)));
  }
  // The journal knows streams and stages by their number in the file.
  if (!std::ranges::equal(old, now, {}, &Part::name, &Part::name))
    return differs(fmt::format("the {}s stand in another order than in the directory's topology", noun));
  return {};
}

/// A stream that follows the broker's durability follows it also where that has changed.
bool same_durability(const Topology& old, const Topology& now, const Stream& a, const Stream& b) {
  return a.durability == b.durability ||
         (a.durability == old.broker.durability && b.durability == now.broker.durability);
}

bool same_bindings(const std::vector<PortBinding>& a, const std::vector<PortBinding>& b) {
  return std::ranges::equal(
      a, b, [](const PortBinding& x, const PortBinding& y) { return x.port == y.port && x.stream == y.stream; });
}

bool same_config(const std::string& a, const std::string& b) {
  if (a == b) return true;
  const Result<JsonNode> x = parse_json_strictly(a);
  const Result<JsonNode> y = parse_json_strictly(b);
  return x.ok() && y.ok() && convert_json<nlohmann::json>(*x) == convert_json<nlohmann::json>(*y);
}

}  // namespace

Status compatible(const Topology& old, const Topology& now) {
  if (old.name != now.name)
    return differs(
        fmt::format("the directory belongs to topology {}, not {}", in_quotes(old.name), in_quotes(now.name)));
  if (old.broker.segment_bytes != now.broker.segment_bytes) {
    return differs(fmt::format("\"segment_size\" was {} when the directory was made and is {} now",
                               format_size(old.broker.segment_bytes), format_size(now.broker.segment_bytes)));
  }
  if (Status same = same_names("stream", old.streams, now.streams); !same) return same;
  if (Status same = same_names("stage", old.stages, now.stages); !same) return same;
  for (std::size_t i = 0; i < now.streams.size(); ++i) {
    const Stream& a = old.streams[i];
    const Stream& b = now.streams[i];
    const char* field = a.transport != b.transport                         ? "transport"
                        : a.partition != b.partition                       ? "partition"
                        : a.shards != b.shards                             ? "shards"
                        : a.key != b.key || a.key_is_list != b.key_is_list ? "key"
                        : a.dispatch != b.dispatch                         ? "dispatch"
                        : !same_durability(old, now, a, b)                 ? "durability"
                        : a.external_in != b.external_in                   ? "external"
                                                                           : nullptr;
    if (field != nullptr)
      return differs(fmt::format("\"{}\" of stream {} differs from the directory's", field, in_quotes(b.name)));
  }
  for (std::size_t i = 0; i < now.stages.size(); ++i) {
    const StageSpec& a = old.stages[i];
    const StageSpec& b = now.stages[i];
    const char* field = a.plugin != b.plugin                   ? "plugin"
                        : !same_bindings(a.inputs, b.inputs)   ? "input"
                        : !same_bindings(a.outputs, b.outputs) ? "output"
                        : !same_config(a.config, b.config)     ? "config"
                                                               : nullptr;
    if (field != nullptr)
      return differs(fmt::format("\"{}\" of stage {} differs from the directory's", field, in_quotes(b.name)));
  }
  return {};
}

}  // namespace weir
