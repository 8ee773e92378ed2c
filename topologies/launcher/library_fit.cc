// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/library_fit.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <vector>

#include "sdk/topology/choices.h"
#include "sdk/topology/config_schema.h"
#include "sdk/topology/json_document.h"
#include "sdk/topology/substitute.h"

namespace weir::launcher {
namespace {

std::set<std::string> ports_of(const std::vector<PortBinding>& bindings) {
  std::set<std::string> ports;
  for (const PortBinding& binding : bindings) {
    // What Weir has joined to a stage for hot keys (sdk/topology/hot_keys.h) has no port, or shares one that a person
    // joined.
    if (!binding.resting && !binding.port.empty()) ports.insert(binding.port);
  }
  return ports;
}

std::optional<std::string> why_not_ports(const StageSpec& stage, const char* what,
                                         const std::vector<PortBinding>& bindings, std::vector<std::string> ports) {
  const std::set<std::string> bound = ports_of(bindings);
  if (std::set<std::string>(ports.begin(), ports.end()) == bound) return std::nullopt;
  return fmt::format("stage \"{}\" has the {} ports {}, and the new {} has {}", stage.name, what,
                     fmt::join(bound, ", "), stage.plugin,
                     ports.empty() ? std::string("none") : fmt::format("{}", fmt::join(ports, ", ")));
}

std::optional<std::string> why_not_config(const StageSpec& stage, const Plugin& plugin) {
  const Result<std::string> filled = substitute(stage.config, plugin.schema, process_environment());
  if (!filled) {
    return fmt::format("the config of stage \"{}\": {}; upgrade in an environment like that of `weir run`", stage.name,
                       filled.error().message);
  }
  const JsonDocument config = parse_json(*filled);
  if (!config.root) return fmt::format("the config of stage \"{}\" cannot be read", stage.name);
  if (plugin.schema.empty()) {
    if (config.root->children.empty()) return std::nullopt;
    return fmt::format("stage \"{}\" has a config, and the new {} takes none", stage.name, stage.plugin);
  }
  const JsonDocument schema = parse_json(plugin.schema);
  if (!schema.root) return fmt::format("the schema of the new {} cannot be read", stage.plugin);
  const std::vector<ConfigProblem> problems = check_config(*config.root, *schema.root);
  if (problems.empty()) return std::nullopt;
  return fmt::format("the config of stage \"{}\" is none for the new {}: {}{}{}", stage.name, stage.plugin,
                     problems.front().pointer, problems.front().pointer.empty() ? "" : ": ", problems.front().message);
}

}  // namespace

std::optional<std::string> why_not(const StageSpec& stage, const Plugin& plugin, const Plugin* before) {
  if (plugin.kind != stage.kind) {
    return fmt::format("stage \"{}\" is a {}, and the new {} is a {}", stage.name, word_of(kPluginKinds, stage.kind),
                       stage.plugin, word_of(kPluginKinds, plugin.kind));
  }
  if (auto why = why_not_ports(stage, "input", stage.inputs, plugin.inputs)) return why;
  if (auto why = why_not_ports(stage, "output", stage.outputs, plugin.outputs)) return why;
  if (plugin.keyed != stage.keyed) {
    return fmt::format("stage \"{}\" {} keyed, and the new {} {}", stage.name, stage.keyed ? "is" : "is not",
                       stage.plugin, plugin.keyed ? "is" : "is not");
  }
  if (stage.key_preserving && !plugin.key_preserving) {
    return fmt::format("stage \"{}\" preserves keys, and the new {} does not say that it does", stage.name,
                       stage.plugin);
  }
  if (before != nullptr && before->mergeable && !plugin.mergeable) {
    return fmt::format("stage \"{}\" can merge what it has of a key, and the new {} cannot", stage.name, stage.plugin);
  }
  if (plugin.local != stage.local) {
    return fmt::format("stage \"{}\" {} things of one machine, and the new {} {}", stage.name,
                       stage.local ? "reads" : "does not read", stage.plugin, plugin.local ? "does" : "does not");
  }
  if (plugin.sharing != stage.sharing) {
    return fmt::format("the target of stage \"{}\" is shared as \"{}\", and that of the new {} as \"{}\"", stage.name,
                       word_of(kSharings, stage.sharing), stage.plugin, word_of(kSharings, plugin.sharing));
  }
  return why_not_config(stage, plugin);
}

}  // namespace weir::launcher
