// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "sdk/topology/choices.h"
#include "sdk/topology/names.h"
#include "sdk/topology/read.h"

namespace weir {
namespace {

using Kind = JsonNode::Kind;

constexpr std::uint64_t kLevelsMin = 2;
constexpr std::uint64_t kLevelsMax = 8;
constexpr std::uint64_t kWeightMax = 65536;
constexpr std::uint32_t kWeightStep = 4;  ///< by default a level counts so many times the next

void read_weights(FieldReader& fields, const JsonNode& weights, Priority& priority) {
  Report& report = fields.report();
  const std::string pointer = fields.pointer("weights");
  if (!weights.is(Kind::kArray) || weights.children.size() < kLevelsMin || weights.children.size() > kLevelsMax) {
    report.error(pointer, fmt::format("must be a list of {} to {} whole numbers, one a level, the most urgent first, "
                                      "like [16, 4, 1]",
                                      kLevelsMin, kLevelsMax));
    return;
  }
  for (std::size_t i = 0; i < weights.children.size(); ++i) {
    const JsonNode& weight = weights.children[i];
    const std::string at = fmt::format("{}/{}", pointer, i);
    if (!weight.is(Kind::kNatural) || weight.natural == 0 || weight.natural > kWeightMax) {
      report.error(at,
                   fmt::format("must be a whole number from 1 to {}: a level without weight would starve", kWeightMax));
      return;
    }
    const auto value = static_cast<std::uint32_t>(weight.natural);
    if (!priority.weights.empty() && value > priority.weights.back()) {
      report.error(at, fmt::format("{} behind {}: a level weighs no more than the one before it, which is more urgent",
                                   value, priority.weights.back()));
      return;
    }
    priority.weights.push_back(value);
  }
}

void read_levels(FieldReader& fields, Priority& priority) {
  const JsonNode* weights = fields.field("weights");
  const std::size_t errors_before = fields.report().errors();
  if (weights != nullptr) read_weights(fields, *weights, priority);
  const bool weights_known = weights != nullptr && fields.report().errors() == errors_before;
  const auto levels = fields.number("levels", kLevelsMin, kLevelsMax);
  if (levels && weights_known && *levels != priority.weights.size()) {
    fields.report().error(fields.pointer("levels"),
                          fmt::format("{} weights make {} levels; write that, or leave it out", priority.weights.size(),
                                      priority.weights.size()));
  }
  if (weights_known) return;
  priority.weights.assign(levels.value_or(kPriorityLevelsDefault), 1);
  for (std::size_t level = priority.weights.size() - 1; level > 0; --level)
    priority.weights[level - 1] = kWeightStep * priority.weights[level];
}

void read_priority(FieldReader& stream_fields, Stream& stream, StreamDraft& draft) {
  Report& report = stream_fields.report();
  if (stream_fields.has("partition") && stream.partition != PartitionBy::kNone) {
    report.error(stream_fields.pointer("dispatch"),
                 "under \"priority\" a lane is a shard, so that no key can choose it; leave \"partition\" out");
    draft.partition_known = false;
    return;
  }
  FieldReader fields(stream_fields.field("priority"), stream_fields.pointer("priority"), FieldOwner::kPriority, report,
                     stream_fields.environment());
  Priority& priority = stream.priority;
  read_levels(fields, priority);
  const auto levels = static_cast<std::uint32_t>(priority.weights.size());
  priority.field = fields.text("field");
  if (priority.field && !pointer_steps(*priority.field)) {
    report.error(
        fields.pointer("field"),
        fmt::format("{} is no JSON Pointer into the value; write one like \"/priority\"", in_quotes(*priority.field)));
  }
  priority.fallback = static_cast<std::uint32_t>(fields.number("default", 0, levels - 1).value_or(levels - 1));
  if (stream_fields.has("shards") && stream.shards != levels) {
    report.error(stream_fields.pointer("shards"),
                 fmt::format("{} levels make {} shards; write that, or leave it out", levels, levels));
  }
  stream.shards = levels;
}

}  // namespace

void read_dispatch(FieldReader& fields, Stream& stream, StreamDraft& draft) {
  stream.dispatch = fields.choice("dispatch", kDispatches).value_or(Dispatch::kLeastLoaded);
  if (stream.dispatch == Dispatch::kPriority) return read_priority(fields, stream, draft);
  if (fields.has("priority")) {
    fields.report().error(fields.pointer("priority"),
                          "only \"dispatch\": \"priority\" has levels; write that, or leave them out");
  }
}

}  // namespace weir
