// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "sdk/topology/names.h"
#include "sdk/topology/plugins.h"
#include "topologies/launcher/commands/command_line.h"
#include "topologies/launcher/describe.h"
#include "topologies/launcher/programs.h"

namespace weir::launcher {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  std::string name;
  bool json = false;
  std::vector<std::string> libraries;
};

std::string_view kind_of(const Plugin& plugin) {
  switch (plugin.kind) {
    case PluginKind::kSource:
      return "source";
    case PluginKind::kStage:
      return "stage";
    case PluginKind::kSink:
      return "sink";
  }
  return "stage";
}

Json schema_of(const Plugin& plugin) {
  return plugin.schema.empty() ? Json() : Json::parse(plugin.schema, nullptr, false);
}

Json to_json(const Plugin& plugin) {
  return {{"name", plugin.name},           {"kind", kind_of(plugin)},   {"keyed", plugin.keyed},
          {"mergeable", plugin.mergeable}, {"library", plugin.library}, {"schema", schema_of(plugin)}};
}

/// What a person wants to know of one plugin.
void print_long(const Plugin& plugin) {
  fmt::print("{}: a {}{}, in {}\n", plugin.name, plugin.keyed ? "keyed " : "", kind_of(plugin), plugin.library);
  const Json schema = schema_of(plugin);
  if (schema.is_null()) {
    fmt::print("takes no configuration\n");
    return;
  }
  fmt::print("configuration (JSON Schema draft-07):\n{}\n", schema.dump(2));
}

int plugins(const Arguments& arguments) {
  const Programs programs = Programs::beside_self();
  std::vector<std::string> libraries = programs.libraries(process_environment());
  libraries.insert(libraries.end(), arguments.libraries.begin(), arguments.libraries.end());
  Plugins found;
  int exit_code = kExitDone;
  for (Described& described : describe(programs.stage, libraries)) {
    if (!described.plugins) exit_code = refuse(described.plugins.error().message, kExitFailed);
    for (Plugin& plugin : described.plugins ? *described.plugins : std::vector<Plugin>()) {
      if (Status added = found.add(std::move(plugin)); !added) exit_code = refuse(added.error().message, kExitFailed);
    }
  }
  Json list = Json::array();
  for (const Plugin& plugin : found.all()) {
    if (!arguments.name.empty() && plugin.name != arguments.name) continue;
    if (arguments.json)
      list.push_back(to_json(plugin));
    else if (arguments.name.empty())
      fmt::print("{:<20} {:<7} {}\n", plugin.name, kind_of(plugin), plugin.library);
    else
      print_long(plugin);
  }
  if (!arguments.name.empty() && found.find(arguments.name) == nullptr)
    return refuse(no_such("plugin", arguments.name, "plugins", found.names()), kExitFailed);
  if (arguments.json) fmt::print("{}\n", list.dump(2));
  return exit_code;
}

}  // namespace

void add_plugins(CLI::App& app, CommandLine& line) {
  auto arguments = std::make_shared<Arguments>();  // shared by the parser's callback and what it chooses
  CLI::App* command = app.add_subcommand("plugins", "Lists the plugins that topologies may name, or explains one");
  command->add_option("NAME", arguments->name, "only this one, with its configuration");
  command->add_option("--library", arguments->libraries, "a stage library to look into as well; repeatable");
  command->add_flag("--json", arguments->json, "print [{name, kind, keyed, mergeable, library, schema}]");
  command->callback([arguments, &line] { line.run = [arguments] { return plugins(*arguments); }; });
}

}  // namespace weir::launcher
