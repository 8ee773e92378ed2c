// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>

#include "sdk/topology/names.h"
#include "topologies/launcher/commands/command_line.h"
#include "topologies/launcher/data_dir.h"
#include "topologies/launcher/supervisor.h"
#include "topologies/launcher/topology_file.h"

namespace weir::launcher {
namespace {

struct Arguments {
  std::string file;
  std::string data_dir;
  bool fresh = false;
  bool hold = false;
  std::string stages;
  std::vector<std::string> settings;
};

/// The stages that `list` ("a,b" or "none") names. Errors: kNotFound; kInvalid for one that lives within another.
Result<std::vector<std::string>> chosen_stages(const std::string& list, const Topology& topology) {
  std::vector<std::string> chosen;
  if (list == "none") return chosen;
  for (const std::string& name : CLI::detail::split(list, ',')) {
    const StageSpec* stage = topology.find_stage(name);
    if (stage == nullptr) {
      std::vector<std::string> names;
      names.reserve(topology.stages.size());
      for (const StageSpec& each : topology.stages) names.push_back(each.name);
      return {Code::kNotFound, "--stages: " + no_such("stage", name, "stages", std::move(names))};
    }
    const StageSpec& host = topology.stages[stage->host];
    if (&host != stage) {
      return {Code::kInvalid, fmt::format("--stages: \"{}\" is fused and runs in the workers of \"{}\"; name that one",
                                          name, host.name)};
    }
    chosen.push_back(name);
  }
  return chosen;
}

/// Makes the data directory where it is missing, so that what is wrong with its place is said before anything starts.
Status prepare_data_dir(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error)
    return {Code::kIo,
            fmt::format("the data directory {} cannot be made: {}; name another with --data", path, error.message())};
  if (::access(path.c_str(), R_OK | W_OK | X_OK) != 0)
    return {Code::kIo, fmt::format("the data directory {} cannot be written: {}; name another with --data", path,
                                   ::strerror(errno))};
  return {};
}

int run(const Arguments& arguments, const std::string& log_level) {
  const Result<std::vector<Setting>> settings = parse_settings(arguments.settings);
  if (!settings) return refuse(settings.error().message, kExitRefused);
  const Programs programs = Programs::beside_self();
  TopologyFile loaded = load_topology_file(arguments.file, *settings, programs);
  print(loaded.diagnostics);
  if (!loaded.topology) return loaded.libraries_unknown ? kExitFailed : kExitRefused;

  RunOptions options{.topology = *std::move(loaded.topology),
                     .file = std::move(loaded.resolved),
                     .data_dir = {},
                     .fresh = arguments.fresh,
                     .hold = arguments.hold,
                     .stages = {},
                     .log_level = log_level};
  if (!arguments.stages.empty()) {
    Result<std::vector<std::string>> chosen = chosen_stages(arguments.stages, options.topology);
    if (!chosen) return refuse(chosen.error().message, kExitRefused);
    options.stages = *std::move(chosen);
  }
  options.data_dir =
      absolute_data_dir(arguments.data_dir.empty() ? options.topology.broker.data_dir : arguments.data_dir);
  if (Status prepared = prepare_data_dir(options.data_dir); !prepared)
    return refuse(prepared.error().message, kExitFailed);

  // Records of console.print share a terminal with the live line and would break it.
  const bool prints = std::ranges::any_of(options.topology.stages,
                                          [](const StageSpec& stage) { return stage.plugin == "console.print"; });
  Screen screen(STDERR_FILENO, ::isatty(STDERR_FILENO) != 0 && !(prints && ::isatty(STDOUT_FILENO) != 0));
  Signals signals;
  return Supervisor(std::move(options), programs, loaded.plugins, screen, signals).run();
}

}  // namespace

void add_run(CLI::App& app, CommandLine& line) {
  auto arguments = std::make_shared<Arguments>();  // shared by the parser's callback and what it chooses
  CLI::App* command = app.add_subcommand("run", "Runs a topology until it ends, or until Ctrl-C");
  command->add_option("FILE", arguments->file, "the topology")->required();
  command->add_option("--data", arguments->data_dir, "data directory (default: broker.data_dir, or .weir/NAME)");
  command->add_flag("--fresh", arguments->fresh, "delete the data directory first and start over");
  command->add_flag("--hold", arguments->hold, "stay up after the end (metrics, status) until Ctrl-C");
  command->add_option("--stages", arguments->stages,
                      "a,b or none: start only these workers; others join by weir-stage");
  command->add_option("--set", arguments->settings, "POINTER=VALUE: change a field of the file; repeatable")
      ->expected(1)
      ->take_all();
  command->callback([arguments, &line] { line.run = [arguments, &line] { return run(*arguments, line.log_level); }; });
}

}  // namespace weir::launcher
