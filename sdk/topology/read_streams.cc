// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "sdk/base/units.h"
#include "sdk/topology/choices.h"
#include "sdk/topology/names.h"
#include "sdk/topology/read.h"

namespace weir {
namespace {

using Kind = JsonNode::Kind;

/// "7d", "10GiB": no misspelling of "consumed".
bool looks_like_a_bound(const std::string& text) { return !text.empty() && text.front() >= '0' && text.front() <= '9'; }

void read_retention(FieldReader& fields, Stream& stream) {
  const JsonNode* retention = fields.field("retention");
  const std::string pointer = fields.pointer("retention");
  if (retention->is(Kind::kObject)) {
    FieldReader bounds(retention, pointer, FieldOwner::kRetention, fields.report(), fields.environment());
    stream.retention_time = bounds.duration("time", std::chrono::milliseconds(1)).value_or(stream.retention_time);
    stream.retention_bytes = bounds.size("size", 1).value_or(stream.retention_bytes);
    if (retention->children.empty())
      fields.report().error(pointer, "bounds nothing; write {\"time\": \"1h\"}, {\"size\": \"1GiB\"} or both");
    return;
  }
  if (retention->is(Kind::kString) && looks_like_a_bound(retention->text)) {
    const bool size = retention->text.back() == 'B';
    fields.report().error(pointer, fmt::format("a bound stands in an object; write {{\"{}\": {}}}",
                                               size ? "size" : "time", in_quotes(retention->text)));
    return;
  }
  fields.choice("retention", kRetentions);
}

/// A fused stream is no queue: nothing that makes a queue applies to it.
void check_fused(FieldReader& fields, const Stream& stream) {
  if (stream.compression != Compression::kNone)
    fields.report().error(fields.pointer("compression"),
                          "a fused stream is not carried anywhere, so it is not compressed");
  for (const char* field :
       {"partition", "shards", "key", "dispatch", "priority", "retention", "max_backlog", "external", "loop"}) {
    if (!fields.has(field)) continue;
    fields.report().error(
        fields.pointer(field),
        fmt::format("a fused stream takes no {}: its producer and its consumer are one worker", in_quotes(field)));
  }
}

/// Each record of it goes to all readers.
void check_published(FieldReader& fields) {
  for (const char* field : {"partition", "shards", "key"}) {
    if (!fields.has(field)) continue;
    fields.report().error(fields.pointer(field),
                          fmt::format("a pub_sub stream takes no {}: every worker that reads it gets each of its "
                                      "records; for records by key use a queue",
                                      in_quotes(field)));
  }
  for (const char* field : {"dispatch", "priority"}) {
    if (!fields.has(field)) continue;
    fields.report().error(fields.pointer(field),
                          fmt::format("a pub_sub stream takes no {}: there is nothing to choose, since every worker "
                                      "that reads it gets each of its records",
                                      in_quotes(field)));
  }
}

/// What goes from worker to worker is in no queue.
void check_direct(FieldReader& fields, const Stream& stream) {
  const std::string_view word = word_of(kTransports, stream.transport);
  if (stream.transport == Transport::kPubSub) {
    check_published(fields);
  } else if (stream.dispatch == Dispatch::kPriority) {
    fields.report().error(fields.pointer("dispatch"),
                          fmt::format("a {} stream has no lanes; \"priority\" needs a queue", word));
  }
  for (const char* field : {"partition", "shards", "key"}) {
    if (!fields.has(field) || stream.transport == Transport::kPubSub) continue;
    fields.report().error(
        fields.pointer(field),
        fmt::format(
            "a {} stream takes no {}: its records go to whatever worker is free; for records by key use a queue", word,
            in_quotes(field)));
  }
  for (const char* field : {"retention", "max_backlog"}) {
    if (!fields.has(field)) continue;
    fields.report().error(fields.pointer(field),
                          fmt::format("a {} stream takes no {}: nothing of it is kept", word, in_quotes(field)));
  }
  if (fields.has("external"))
    fields.report().error(fields.pointer("external"),
                          fmt::format("a {} stream goes from stage to stage; programs outside need a queue", word));
  if (fields.has("loop"))
    fields.report().error(fields.pointer("loop"),
                          fmt::format("a {} stream cannot close a loop: what goes round needs a queue", word));
}

Stream read_stream(FieldReader fields, const std::string& name, Durability inherited, StreamDraft& draft) {
  Stream stream;
  stream.name = name;
  stream.transport = fields.choice("transport", kTransports).value_or(Transport::kQueue);
  read_partition(fields, stream, draft);
  read_dispatch(fields, stream, draft);
  read_retention(fields, stream);
  stream.backlog_bytes_max = fields.size("max_backlog", 1).value_or(0);
  stream.compression = fields.choice("compression", kCompressions).value_or(Compression::kNone);
  stream.durability = fields.choice("durability", kDurabilities).value_or(inherited);
  const External external = fields.choice("external", kExternals).value_or(External());
  stream.external_in = external.in;
  stream.external_out = external.out;
  stream.loop = fields.boolean("loop").value_or(false);
  stream.last_values_bytes = fields.size("last_values", 1).value_or(0);
  if (stream.last_values_bytes != 0 && stream.transport != Transport::kPubSub) {
    fields.report().error(fields.pointer("last_values"),
                          "only a pub_sub stream has readers that missed what came before them; a queue keeps records "
                          "until they are consumed");
    stream.last_values_bytes = 0;
  }
  if (stream.transport == Transport::kFused) check_fused(fields, stream);
  if (is_direct(stream.transport)) check_direct(fields, stream);
  return stream;
}

}  // namespace

void read_streams(const JsonNode& root, const ReadContext& context, Draft& draft) {
  const JsonNode* streams = root.find("streams");
  if (streams == nullptr) return;
  if (!streams->is(Kind::kObject)) {
    context.report.error("/streams", fmt::format("must be an object of streams by name, not {}", kind_name(*streams)));
    return;
  }
  if (streams->children.size() > kPartsMax) {
    context.report.error("/streams", fmt::format("holds more than {} streams", kPartsMax));
    return;
  }
  for (const JsonNode& node : streams->children) {
    if (context.report.full()) return;
    StreamDraft& added = draft.streams.emplace_back();
    added.pointer = pointer_to("/streams", node.name);
    if (!is_name(node.name)) {
      context.report.error(added.pointer,
                           fmt::format("{} is no name; a name is [a-z][a-z0-9_-]{{0,62}}", in_quotes(node.name)));
    }
    draft.topology.streams.push_back(
        read_stream(FieldReader(&node, added.pointer, FieldOwner::kStream, context.report, context.environment),
                    node.name, draft.topology.broker.durability, added));
  }
}

}  // namespace weir
