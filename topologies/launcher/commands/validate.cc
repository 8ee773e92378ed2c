// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "sdk/topology/graph.h"
#include "sdk/topology/hot_keys.h"
#include "topologies/launcher/commands/command_line.h"
#include "topologies/launcher/topology_file.h"

namespace weir::launcher {
namespace {

struct Arguments {
  std::string file;
  std::vector<std::string> settings;
  bool json = false;
  std::string format = "mermaid";
};

Result<TopologyFile> load(const Arguments& arguments) {
  const Result<std::vector<Setting>> settings = parse_settings(arguments.settings);
  if (!settings) return settings.error();
  return load_topology_file(arguments.file, *settings, Programs::beside_self());
}

int validate(const Arguments& arguments) {
  const Result<TopologyFile> loaded = load(arguments);
  if (!loaded) return refuse(loaded.error().message, kExitRefused);
  if (arguments.json)
    fmt::print("{}\n", to_json(loaded->diagnostics));
  else
    print(loaded->diagnostics);
  if (!loaded->topology) return loaded->libraries_unknown ? kExitFailed : kExitRefused;
  if (!arguments.json) {
    const auto written =
        std::ranges::count_if(loaded->topology->streams, [](const Stream& each) { return !is_added(each); });
    fmt::print("{}: {} is valid: {} stages, {} streams\n", arguments.file, loaded->topology->name,
               loaded->topology->stages.size(), written);
  }
  return kExitDone;
}

int graph(const Arguments& arguments) {
  const Result<TopologyFile> loaded = load(arguments);
  if (!loaded) return refuse(loaded.error().message, kExitRefused);
  print(loaded->diagnostics);
  if (!loaded->topology) return kExitRefused;
  fmt::print("{}", arguments.format == "dot" ? to_dot(*loaded->topology) : to_mermaid(*loaded->topology));
  return kExitDone;
}

CLI::App* add_file_command(CLI::App& app, const char* name, const char* help, Arguments& arguments) {
  CLI::App* command = app.add_subcommand(name, help);
  command->add_option("FILE", arguments.file, "the topology")->required();
  command->add_option("--set", arguments.settings, "POINTER=VALUE: change a field of the file; repeatable")
      ->expected(1)
      ->take_all();
  return command;
}

}  // namespace

void add_validate(CLI::App& app, CommandLine& line) {
  auto arguments = std::make_shared<Arguments>();  // shared by the parser's callback and what it chooses
  CLI::App* command =
      add_file_command(app, "validate", "Checks a topology file and names everything wrong in it", *arguments);
  command->add_flag("--json", arguments->json, "print [{severity, file, line, pointer, message}]");
  command->callback([arguments, &line] { line.run = [arguments] { return validate(*arguments); }; });
}

void add_graph(CLI::App& app, CommandLine& line) {
  auto arguments = std::make_shared<Arguments>();  // as above
  CLI::App* command = add_file_command(app, "graph", "Prints a topology as a graph", *arguments);
  command->add_option("--format", arguments->format, "mermaid (default) or dot")
      ->check(CLI::IsMember({"mermaid", "dot"}));
  command->callback([arguments, &line] { line.run = [arguments] { return graph(*arguments); }; });
}

}  // namespace weir::launcher
