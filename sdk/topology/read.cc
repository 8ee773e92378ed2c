// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/read.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sdk/base/units.h"
#include "sdk/topology/choices.h"

namespace weir {
namespace {

using Kind = JsonNode::Kind;

constexpr std::uint64_t kSegmentBytesMin = 64U << 10;
constexpr std::uint64_t kTransactionBytesMin = 1U << 10;
constexpr std::uint64_t kBrokerMemoryBytesMin = 1U << 20;

/// Whether `text` is HOST:PORT with a port that leaves room for `above` more.
bool is_host_port(std::string_view text, unsigned above) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.find_first_of(" \t\r\n/") != std::string_view::npos) return false;
  if (host.find(':') != std::string_view::npos && !(host.front() == '[' && host.back() == ']')) return false;
  if (port.empty() || port.size() > 5 || !std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; }))
    return false;
  return std::stoul(std::string(port)) + above <= 65535;
}

void read_broker(FieldReader fields, Topology& topology) {
  BrokerSpec& broker = topology.broker;
  broker.data_dir = ".weir/" + topology.name;
  if (const auto folder = fields.text("data_dir")) {
    if (folder->empty()) fields.report().error(fields.pointer("data_dir"), "must name a directory");
    broker.data_dir = *folder;
  }
  if (const auto listen = fields.text("listen")) {
    if (!listen->starts_with("tcp://") || !is_host_port(std::string_view(*listen).substr(6), 2)) {
      fields.report().error(fields.pointer("listen"),
                            fmt::format("{} is no address; write one like \"tcp://0.0.0.0:7411\" (the two ports above "
                                        "are taken too, port 0 takes free ones)",
                                        in_quotes(*listen)));
    }
    broker.listen = *listen;
  }
  broker.durability = fields.choice("durability", kDurabilities).value_or(broker.durability);
  const auto interval = fields.duration("interval");
  broker.interval = interval.value_or(broker.interval);
  if (interval && interval->count() == 0) fields.report().error(fields.pointer("interval"), "must be above zero");
  const auto segment = fields.size("segment_size", kSegmentBytesMin);
  broker.segment_bytes = segment.value_or(0);
  broker.memory_bytes = fields.size("memory", kBrokerMemoryBytesMin).value_or(0);
  const auto transaction = fields.size("transaction_bytes_max", kTransactionBytesMin);
  broker.transaction_bytes_max = transaction.value_or(0);
  if (segment && transaction && *transaction > *segment / 4) {
    // The default gives way to a smaller segment, a number that a person wrote does not.
    broker.transaction_bytes_max = *segment / 4;
    if (fields.has("transaction_bytes_max")) {
      fields.report().error(
          fields.pointer("transaction_bytes_max"),
          fmt::format("must be at most a quarter of segment_size, that is {}", format_size(*segment / 4)));
    }
  }
}

}  // namespace

std::string absolute_path(const std::string& text, const std::filesystem::path& folder,
                          const Environment& environment) {
  const Result<std::string> value = expand(text, environment);
  if (!value || value->empty() || value->front() == '/') return text;
  if (text.find("${") != std::string::npos) return escape_variables(folder.string()) + "/" + text;
  return (folder / text).lexically_normal().string();
}

Topology read_head(const JsonNode& root, const ReadContext& context) {
  Topology topology;
  Report& report = context.report;
  FieldReader fields(&root, "", FieldOwner::kTopology, report, context.environment);
  if (!root.is(Kind::kObject)) return topology;

  if (!fields.has("name")) report.error("/name", "is missing; every topology has a name");
  if (const auto name = fields.text("name")) {
    if (!is_name(*name))
      report.error("/name", fmt::format("{} is no name; a name is [a-z][a-z0-9_-]{{0,62}}", in_quotes(*name)));
    topology.name = *name;
  }

  const JsonNode* libraries = fields.field("libraries");
  if (!libraries->is(Kind::kArray)) {
    report.error("/libraries", fmt::format("must be a list of paths, not {}", kind_name(*libraries)));
  } else {
    for (std::size_t i = 0; i < libraries->children.size() && !report.full(); ++i) {
      const std::string pointer = fmt::format("/libraries/{}", i);
      const auto path = fields.text_at(libraries->children[i], pointer);
      if (path && path->empty()) report.error(pointer, "must name a stage library");
      if (path && !path->empty()) topology.libraries.push_back((context.folder / *path).lexically_normal().string());
    }
  }

  const JsonNode* engine = fields.field("engine");
  const JsonNode* type = engine->find("type");
  // Another engine has fields of its own; its name says all there is to say.
  if (type != nullptr && find_choice(kEngines, type->text) != nullptr && !find_choice(kEngines, type->text)->built)
    report.not_built("/engine/type", type->text);
  else
    FieldReader(engine, "/engine", FieldOwner::kEngine, report, context.environment).choice("type", kEngines);

  read_broker(FieldReader(fields.field("broker"), "/broker", FieldOwner::kBroker, report, context.environment),
              topology);

  const JsonNode* http = fields.field("http");
  if (!http->is(Kind::kNull)) {
    FieldReader http_fields(http, "/http", FieldOwner::kHttp, report, context.environment);
    topology.http_is_default = !http_fields.has("listen");
    topology.http = http_fields.text("listen");
    if (topology.http && !is_host_port(*topology.http, 0)) {
      report.error("/http/listen",
                   fmt::format("{} is no address; write one like \"127.0.0.1:9464\"", in_quotes(*topology.http)));
    }
  } else {
    topology.http_is_default = false;
  }
  return topology;
}

Draft read_topology(const JsonNode& root, const ReadContext& context) {
  Draft draft;
  draft.topology = read_head(root, context);
  if (!root.is(Kind::kObject)) return draft;
  read_streams(root, context, draft);
  read_stages(root, context, draft);
  return draft;
}

}  // namespace weir
