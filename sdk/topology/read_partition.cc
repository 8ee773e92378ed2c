// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "sdk/topology/choices.h"
#include "sdk/topology/names.h"
#include "sdk/topology/read.h"

namespace weir {
namespace {

using Kind = JsonNode::Kind;

void read_key(FieldReader& fields, Stream& stream) {
  const JsonNode* key = fields.field("key");
  if (key == nullptr) return;
  const auto add = [&](const JsonNode& node, const std::string& pointer) {
    const auto text = fields.text_at(node, pointer);
    if (!text) return;
    if (!pointer_steps(*text)) {
      fields.report().error(
          pointer, fmt::format("{} is no JSON Pointer into the value; write one like \"/user/id\"", in_quotes(*text)));
    }
    stream.key.push_back(*text);
  };
  const std::string pointer = fields.pointer("key");
  if (!key->is(Kind::kArray)) {
    add(*key, pointer);
    return;
  }
  stream.key_is_list = true;
  if (key->children.empty()) fields.report().error(pointer, "must name at least one field");
  for (std::size_t i = 0; i < key->children.size() && !fields.report().full(); ++i)
    add(key->children[i], fmt::format("{}/{}", pointer, i));
}

/// A number or a string of the file; a string that is one `${...}` is a number where its value is one.
std::optional<Boundary> boundary_of(FieldReader& fields, const JsonNode& node, const std::string& pointer) {
  JsonNode value = node;
  if (node.is(Kind::kString)) {
    const auto text = fields.text_at(node, pointer);
    if (!text) return std::nullopt;
    value.text = *text;
    if (is_one_variable(node.text)) {
      const Result<JsonNode> number = parse_json_strictly(*text);
      if (number && (number->is(Kind::kNatural) || number->is(Kind::kInteger) || number->is(Kind::kReal)))
        value = *number;
    }
  }
  switch (value.kind) {
    case Kind::kNatural:
      return value.natural;
    case Kind::kInteger:
      return value.integer;
    case Kind::kReal:
      return value.real;
    case Kind::kString:
      return value.text;
    default:
      fields.report().error(pointer, fmt::format("a boundary is a number or a string, not {}", kind_name(value)));
      return std::nullopt;
  }
}

/// The first that is out of place is told; those behind it are compared with it.
void check_order(Report& report, const std::string& pointer, const Boundary& before, const Boundary& boundary) {
  const auto order = compare(ordinal_of(before), ordinal_of(boundary));
  if (!order) {
    report.error(pointer, fmt::format("{} behind {}: boundaries are all numbers or all strings, as the keys are",
                                      to_json_text(boundary), to_json_text(before)));
  } else if (*order == 0) {
    report.error(pointer, fmt::format("{} behind {}: between equal boundaries lies no key; leave one out",
                                      to_json_text(boundary), to_json_text(before)));
  } else if (*order > 0) {
    report.error(pointer, fmt::format("{} behind {}: boundaries stand in rising order", to_json_text(boundary),
                                      to_json_text(before)));
  }
}

void read_boundaries(FieldReader& partition, Stream& stream) {
  Report& report = partition.report();
  const JsonNode* boundaries = partition.field("boundaries");
  const std::string pointer = partition.pointer("boundaries");
  if (stream.partition != PartitionBy::kRange) {
    if (boundaries != nullptr)
      report.error(pointer, "only \"by\": \"range\" has boundaries; write that, or leave them out");
    return;
  }
  if (boundaries == nullptr) {
    report.error(partition.pointer(),
                 "\"range\" needs \"boundaries\": where the second and each later shard begins, like [100, 200]");
    return;
  }
  if (boundaries->is(Kind::kString) && boundaries->text == "auto") {
    stream.learns_boundaries = true;
    return;
  }
  if (!boundaries->is(Kind::kArray)) {
    report.error(pointer, fmt::format("must be a list of numbers or of strings in rising order, like [100, 200], "
                                      "or \"auto\", not {}",
                                      kind_name(*boundaries)));
    return;
  }
  if (boundaries->children.empty())
    return report.error(pointer, "must hold at least one boundary: one makes two shards");
  if (boundaries->children.size() >= kShardsMax) {
    return report.error(pointer,
                        fmt::format("{} boundaries make more than {} shards", boundaries->children.size(), kShardsMax));
  }
  for (std::size_t i = 0; i < boundaries->children.size() && !report.full(); ++i) {
    const std::string at = fmt::format("{}/{}", pointer, i);
    auto boundary = boundary_of(partition, boundaries->children[i], at);
    if (!boundary) continue;
    if (!stream.boundaries.empty()) check_order(report, at, stream.boundaries.back(), *boundary);
    stream.boundaries.push_back(std::move(*boundary));
  }
}

/// Keys of a hash lie anywhere; where shards have a meaning, records of one must not lie in another.
void read_hot_keys(FieldReader& partition, Stream& stream) {
  stream.hot_keys = partition.choice("hot_keys", kHotKeys).value_or(HotKeys::kNone);
  if (stream.hot_keys == HotKeys::kNone || stream.partition == PartitionBy::kHash) return;
  partition.report().error(partition.pointer("hot_keys"),
                           "only records partitioned by \"hash\" can be split; write \"by\": \"hash\", or leave "
                           "\"hot_keys\" out");
  stream.hot_keys = HotKeys::kNone;
}

void read_shards(FieldReader& fields, Stream& stream, bool boundaries_known) {
  const bool range = stream.partition == PartitionBy::kRange && !stream.learns_boundaries;
  const bool keyed = stream.partition != PartitionBy::kNone;
  stream.shards = range   ? static_cast<std::uint32_t>(stream.boundaries.size() + 1)
                  : keyed ? kKeyedShardsDefault
                          : kUnkeyedShardsDefault;
  const auto shards = fields.number("shards", 1, kShardsMax);
  if (!shards) return;
  if (range && boundaries_known && *shards != stream.shards) {
    fields.report().error(fields.pointer("shards"),
                          fmt::format("{} boundar{} make{} {} shards; write that, or leave it out",
                                      stream.boundaries.size(), stream.boundaries.size() == 1 ? "y" : "ies",
                                      stream.boundaries.size() == 1 ? "s" : "", stream.shards));
  }
  stream.shards = static_cast<std::uint32_t>(*shards);
  if (stream.learns_boundaries && (*shards < 2 || *shards > kLearnedShardsMax)) {
    fields.report().error(
        fields.pointer("shards"),
        fmt::format("\"boundaries\": \"auto\" divides keys into 2 to {} shards, not {}", kLearnedShardsMax, *shards));
  }
}

}  // namespace

void read_partition(FieldReader& fields, Stream& stream, StreamDraft& draft) {
  Report& report = fields.report();
  const std::size_t errors_before = report.errors();
  FieldReader partition(fields.field("partition"), fields.pointer("partition"), FieldOwner::kPartition, report,
                        fields.environment());
  stream.partition = partition.choice("by", kPartitions).value_or(PartitionBy::kNone);
  read_boundaries(partition, stream);
  read_hot_keys(partition, stream);
  read_shards(fields, stream, report.errors() == errors_before);
  draft.partition_known = report.errors() == errors_before;
  read_key(fields, stream);
  if (stream.partition == PartitionBy::kRange && stream.key_is_list) {
    report.error(fields.pointer("key"),
                 "a list of fields makes the key an array, which \"range\" cannot put in order; name one field, or "
                 "partition by \"hash\"");
  }
}

}  // namespace weir
