// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/plugins.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sdk/topology/choices.h"
#include "sdk/topology/json_document.h"
#include "sdk/topology/names.h"

namespace weir {
namespace {

using Kind = JsonNode::Kind;

/// "file.lines", "threshold", "acme.Dedup-2": anything that can stand in a message and on a command line.
bool is_plugin_name(std::string_view text) {
  return !text.empty() && text.size() <= 127 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  });
}

/// Reads the fields of one plugin and remembers the first that is wrong.
class PluginReader {
 public:
  explicit PluginReader(const JsonNode& node) : node_(node) {}

  std::string text(std::string_view field, std::string fallback) {
    const JsonNode* found = node_.find(field);
    if (found == nullptr) return fallback;
    if (!found->is(Kind::kString)) wrong(field);
    return found->text;
  }
  bool flag(std::string_view field, bool fallback) {
    const JsonNode* found = node_.find(field);
    if (found == nullptr) return fallback;
    if (!found->is(Kind::kBool)) wrong(field);
    return found->boolean;
  }
  std::vector<std::string> ports(std::string_view field, std::vector<std::string> fallback) {
    const JsonNode* found = node_.find(field);
    if (found == nullptr) return fallback;
    if (!found->is(Kind::kArray)) wrong(field);
    std::vector<std::string> ports;
    for (const JsonNode& port : found->children) {
      if (!port.is(Kind::kString) || !is_name(port.text) || std::ranges::find(ports, port.text) != ports.end())
        wrong(field);
      ports.push_back(port.text);
    }
    return ports;
  }
  template <typename T, std::size_t N>
  T choice(std::string_view field, const std::array<Choice<T>, N>& choices, std::string_view fallback) {
    const Choice<T>* found = find_choice(choices, text(field, std::string(fallback)));
    if (found == nullptr) {
      wrong(field);
      return choices.front().value;
    }
    return found->value;
  }
  void wrong(std::string_view field) {
    if (wrong_.empty()) wrong_ = field;
  }
  [[nodiscard]] const std::string& first_wrong() const { return wrong_; }

 private:
  const JsonNode& node_;
  std::string wrong_;
};

}  // namespace

Status Plugins::add(Plugin plugin) {
  const auto at = std::ranges::lower_bound(plugins_, plugin.name, {}, &Plugin::name);
  if (at == plugins_.end() || at->name != plugin.name) {
    plugins_.insert(at, std::move(plugin));
    return {};
  }
  if (at->library == plugin.library) return {};
  return {Code::kInvalid, fmt::format("plugin {} is in two libraries, {} and {}; leave one of them out",
                                      in_quotes(plugin.name), at->library, plugin.library)};
}

const Plugin* Plugins::find(std::string_view name) const {
  const auto at =
      std::ranges::lower_bound(plugins_, name, {}, [](const Plugin& p) -> std::string_view { return p.name; });
  return at != plugins_.end() && at->name == name ? &*at : nullptr;
}

std::vector<std::string> Plugins::names() const {
  std::vector<std::string> names;
  names.reserve(plugins_.size());
  for (const Plugin& plugin : plugins_) names.push_back(plugin.name);
  return names;
}

Result<std::vector<Plugin>> Plugins::parse_description(std::string_view json, const std::string& library) {
  const Result<JsonNode> root = parse_json_strictly(json);
  if (!root)
    return {Code::kInvalid, fmt::format("the description of {} is unusable: {}", library, root.error().message)};
  const JsonNode* path = root->find("library");
  const JsonNode* list = root->find("plugins");
  if (list == nullptr || !list->is(Kind::kArray))
    return {Code::kInvalid, fmt::format("the description of {} has no list \"plugins\"", library)};
  std::vector<Plugin> plugins;
  for (const JsonNode& node : list->children) {
    PluginReader reader(node);
    Plugin plugin;
    plugin.library = path != nullptr && path->is(Kind::kString) ? path->text : library;
    plugin.name = reader.text("name", "");
    if (!is_plugin_name(plugin.name)) reader.wrong("name");
    plugin.kind = reader.choice("kind", kPluginKinds, "");
    plugin.keyed = reader.flag("keyed", false);
    plugin.key_preserving = reader.flag("key_preserving", false);
    plugin.mergeable = reader.flag("mergeable", false);
    plugin.deterministic = reader.flag("deterministic", true);
    plugin.on_watermark = reader.flag("on_watermark", false);
    plugin.local = reader.flag("local", false);
    plugin.sharing = reader.choice("sharing", kSharings, "single");
    using Ports = std::vector<std::string>;
    plugin.inputs = reader.ports("inputs", plugin.kind == PluginKind::kSource ? Ports{} : Ports{"in"});
    plugin.outputs = reader.ports("outputs", plugin.kind == PluginKind::kSink ? Ports{} : Ports{"out"});
    if ((plugin.kind == PluginKind::kSource) != plugin.inputs.empty()) reader.wrong("inputs");
    if (plugin.kind == PluginKind::kSink && !plugin.outputs.empty()) reader.wrong("outputs");
    const JsonNode* schema = node.find("schema");
    if (schema != nullptr && schema->is(Kind::kObject))
      plugin.schema = to_text(*schema);
    else if (schema != nullptr && !schema->is(Kind::kNull))
      reader.wrong("schema");
    if (!reader.first_wrong().empty()) {
      return {Code::kInvalid, fmt::format("library {} describes plugin {} with a bad \"{}\"", library,
                                          in_quotes(plugin.name), reader.first_wrong())};
    }
    plugins.push_back(std::move(plugin));
  }
  return plugins;
}

}  // namespace weir
