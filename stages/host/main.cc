// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sdk/base/heap.h"
#include "sdk/base/log.h"
#include "sdk/topology/resolved_file.h"
#include "sdk/topology/substitute.h"
#include "sdk/wire/library_hash.h"
#include "stages/host/broker_engine.h"
#include "stages/host/chain.h"
#include "stages/host/describe.h"
#include "stages/host/exit_codes.h"
#include "stages/host/leave_signal.h"
#include "stages/host/library.h"
#include "stages/host/local_lanes.h"
#include "stages/host/map_page.h"
#include "stages/host/memory_limit.h"
#include "stages/host/rocks_store.h"
#include "stages/host/runner.h"
#include "stages/host/trial.h"
#include "stages/host/watchdog.h"

namespace {

using weir::host::Exit;

struct Options {
  weir::host::BrokerEngine::Options engine;
  std::vector<std::string> libraries;
  std::vector<std::string> stage_libraries;
  std::string describe;
  bool trial = false;
  int page = -1;  ///< descriptor of the page that the launcher shares
  std::string log_level = "info";
};

void define(CLI::App& app, Options& options) {
  app.set_version_flag("--version", "weir-stage " WEIR_VERSION);
  app.add_option("--broker", options.engine.broker, "Endpoint of the broker: ipc://PATH or tcp://HOST:PORT");
  app.add_option("--stage", options.engine.stage, "Which stage of the topology to work for");
  app.add_option("--worker", options.engine.worker, "Its number within the stage; any free one by default");
  app.add_option("--listen", options.engine.listen,
                 "Host to take records on, with a tcp broker; by default the address that faces it");
  app.add_option("--advertise", options.engine.advertise,
                 "Host by which the broker reaches this worker, behind NAT or in a container");
  app.add_option("--library", options.libraries, "A stage library; may be given several times");
  app.add_option("--stage-library", options.stage_libraries,
                 "STAGE=PATH: the library of that stage, of several that have its plugin; may be given several times");
  app.add_option("--runs", options.engine.libraries,
                 "What is in the libraries of all its stages, as the launcher knows")
      ->group("");
  app.add_flag("--try", options.trial,
               "Only see whether the stage, with that library, could go on with the state that there is, and end");
  app.add_option("--page", options.page, "Descriptor of a page that the launcher reads when this worker has died")
      ->group("");
  app.add_option("--describe", options.describe, "Print what is in a library as JSON, and end");
  app.add_option("--log-level", options.log_level, "debug, info, warning or error");
}

int refuse(const std::string& sentence) {
  weir::log::error("{}", sentence);
  return static_cast<int>(Exit::kRefused);
}

int describe(const std::string& path) {
  const auto library = weir::host::Library::load(path);
  const auto text = library.ok() ? weir::host::describe(*library) : weir::Result<std::string>(library.error());
  if (!text.ok()) {
    std::fprintf(stderr, "weir-stage: %s\n", text.error().message.c_str());
    return static_cast<int>(Exit::kRefused);
  }
  std::printf("%s\n", text->c_str());
  return 0;
}

/// Lanes that this worker will hold, if all are there.
std::uint32_t lanes_of(const weir::Topology& topology, const weir::StageSpec& spec) {
  std::uint32_t lanes = 0;
  for (const weir::PortBinding& input : spec.inputs) lanes = std::max(lanes, topology.streams[input.stream].shards);
  return (lanes + spec.workers - 1) / spec.workers;
}

/// STAGE=PATH, by stage. Errors: kInvalid.
weir::Result<std::map<std::string, std::string>> stage_libraries(const std::vector<std::string>& arguments) {
  std::map<std::string, std::string> libraries;
  for (const std::string& argument : arguments) {
    const std::size_t equals = argument.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == argument.size())
      return {weir::Code::kInvalid, fmt::format("--stage-library: \"{}\" is not STAGE=PATH", argument)};
    libraries[argument.substr(0, equals)] = argument.substr(equals + 1);
  }
  return libraries;
}

weir::Result<std::string> config_of(const weir::StageSpec& of, const weir_descriptor& plugin) {
  return weir::substitute(of.config, plugin.schema != nullptr ? plugin.schema : "", weir::process_environment());
}

int try_state(Options options) {
  auto named = stage_libraries(options.stage_libraries);
  if (!named.ok()) return refuse(named.error().message);
  options.engine.trial = true;
  auto engine = weir::host::BrokerEngine::open(options.engine);
  if (!engine.ok()) return refuse(engine.error().message);
  const auto topology = weir::decode_resolved((*engine)->topology_text());
  if (!topology.ok()) return refuse(topology.error().message);
  const weir::StageSpec* spec = topology->find_stage(options.engine.stage);
  if (spec == nullptr) return refuse("the broker's topology has no stage \"" + options.engine.stage + "\"");
  (*engine)->start(*topology, spec->host);
  weir::host::StageLibraries libraries(std::move(*named), weir::host::library_paths(options.libraries));
  const auto plugin = libraries.find(*spec);
  if (!plugin.ok()) return refuse(plugin.error().message);
  const auto config = config_of(*spec, **plugin);
  if (!config.ok()) return refuse(config.error().message);
  weir::host::Trial trial(*topology, static_cast<std::uint32_t>(spec - topology->stages.data()), **plugin, **engine);
  const auto outcome = trial.run(*config);
  (*engine)->drained();  // the broker need not wait for it to fall silent
  if (!outcome.ok()) return refuse(outcome.error().message);
  std::printf("{\"shards\":%llu,\"values\":%llu,\"unknown\":%llu}\n", static_cast<unsigned long long>(outcome->shards),
              static_cast<unsigned long long>(outcome->values), static_cast<unsigned long long>(outcome->unknown));
  return 0;
}

/// A worker that somebody started by hand brings its libraries: where others are wanted it must not work. "" if all is
/// well.
std::string wrong_library(const weir::Topology& topology, const weir::host::Chain& chain,
                          const weir::host::StageLibraries& libraries, const std::string& wanted) {
  std::map<std::string, std::string> found;
  for (const auto& instance : chain.instances()) {
    const auto hash = weir::wire::library_hash(libraries.path_of(instance->spec().name));
    if (!hash.ok()) return hash.error().message;
    found[instance->spec().name] = *hash;
  }
  std::vector<std::string> hashes;
  for (const auto& [stage, hash] : found) hashes.push_back(hash);
  if (weir::wire::libraries_fit(weir::wire::join_libraries(hashes), wanted)) return "";
  return fmt::format(
      "stage \"{}\" of the topology \"{}\" was upgraded and runs with another library than {}: start "
      "this worker with that one (weir status names it)",
      chain.instances().front()->spec().name, topology.name, libraries.path_of(chain.instances().front()->spec().name));
}

/// It gives each worker a page; nobody else does.
bool by_launcher(const Options& options) { return options.page >= 0; }

int work(Options options) {
  weir::keep_freed_memory();
  using weir::host::LeaveSignal;
  options.engine.asked_to_leave = LeaveSignal::came;
  auto engine = weir::host::BrokerEngine::open(options.engine);
  if (!engine.ok() && engine.error().code == weir::Code::kNotFound) {
    weir::log::info("{}", engine.error().message);  // everything was done before this process came
    return 0;
  }
  if (!engine.ok()) return refuse(engine.error().message);
  const auto topology = weir::decode_resolved((*engine)->topology_text());
  if (!topology.ok()) return refuse(topology.error().message);
  const weir::StageSpec* spec = topology->find_stage(options.engine.stage);
  if (spec == nullptr) return refuse("the broker's topology has no stage \"" + options.engine.stage + "\"");
  const auto stage = static_cast<std::uint32_t>(spec - topology->stages.data());

  std::vector<std::string> named = options.libraries;
  named.insert(named.end(), topology->libraries.begin(), topology->libraries.end());
  auto by_stage = stage_libraries(options.stage_libraries);
  if (!by_stage.ok()) return refuse(by_stage.error().message);
  weir::host::StageLibraries libraries(std::move(*by_stage), weir::host::library_paths(named));
  weir::host::Chain chain(*topology, stage, (*engine)->worker());
  if (options.page >= 0) {
    weir::wire::WorkPage* page = weir::host::map_page(options.page);
    if (page == nullptr) return refuse("--page names no page of a launcher");
    chain.at_work().use(*page);
  }
  std::vector<std::uint32_t> stages;
  for (std::uint32_t i = 0; i < topology->stages.size(); ++i) {
    if (topology->stages[i].host == stage) stages.push_back(i);
  }
  const weir::host::Watchdog watchdog(*topology, stages, chain.at_work(), weir::host::Watchdog::kill);
  const weir::Status created = chain.create([&](const weir::StageSpec& of) { return libraries.find(of); }, config_of);
  if (!created.ok()) {
    (*engine)->failed(created.error().message);
    return refuse(created.error().message);
  }
  if (options.engine.libraries.empty() && !(*engine)->libraries().empty()) {
    if (const std::string wrong = wrong_library(*topology, chain, libraries, (*engine)->libraries()); !wrong.empty()) {
      (*engine)->drained();  // its place is another's
      return refuse(wrong);
    }
  }
  std::optional<weir::host::RocksStores> stores;
  std::optional<weir::host::LocalLanes> local;
  for (const auto& instance : chain.instances()) {
    if (instance->spec().store != weir::Store::kRocksDb || local) continue;
    stores.emplace(weir::host::RocksStores::Options{
        fmt::format("{}/{}", weir::host::state_dir(instance->spec(), (*engine)->state_dir(), topology->name),
                    spec->name),
        (*engine)->journal(), spec->memory_bytes / 4, lanes_of(*topology, *spec)});
    local.emplace([&](std::uint32_t lane) { return stores->open(lane); });
    if (const weir::Status kept = chain.keep_local(*local, spec->memory_bytes / 4); !kept.ok()) {
      (*engine)->failed(kept.error().message);
      return refuse(kept.error().message);
    }
  }
  LeaveSignal::heed(/*interrupt=*/!by_launcher(options));
  (*engine)->start(*topology, stage);
  const Exit exit = [&] {
    weir::host::MemoryLimit memory(
        weir::host::MemoryLimit::growth_for(spec->memory_bytes, topology->broker.transaction_bytes_max));
    return weir::host::Runner(*topology, chain, **engine, {}, &memory).run();
  }();
  chain.destroy();  // while the watchdog looks on
  return static_cast<int>(exit);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("weir-stage: a worker, which runs one stage of a topology");
  Options options;
  define(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(Exit::kUsage);
  }
  const std::string name = options.engine.worker < 0
                               ? options.engine.stage
                               : fmt::format("{}/{}", options.engine.stage, options.engine.worker);
  if (!weir::log::start(name.empty() ? "weir-stage" : name, options.log_level)) {
    std::fprintf(stderr, "weir-stage: --log-level: \"%s\" is none of debug, info, warning, error\n",
                 options.log_level.c_str());
    return static_cast<int>(Exit::kUsage);
  }
  if (!options.describe.empty()) return describe(options.describe);
  if (options.engine.broker.empty() || options.engine.stage.empty()) {
    std::fprintf(stderr, "weir-stage: --broker and --stage are required (`weir run` starts workers by itself)\n");
    return static_cast<int>(Exit::kUsage);
  }
  // Ctrl-C reaches every process of the terminal; where there is a launcher, it decides what becomes of it.
  if (by_launcher(options)) signal(SIGINT, SIG_IGN);
  // A peer that hangs up is an error of the write, for the stage to deal with, and no reason to die.
  signal(SIGPIPE, SIG_IGN);
  return options.trial ? try_state(std::move(options)) : work(std::move(options));
}
