// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <poll.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "sdk/base/units.h"
#include "sdk/client/endpoint_file.h"
#include "sdk/topology/resolved_file.h"
#include "sdk/wire/library_hash.h"
#include "sdk/wire/map.h"
#include "topologies/launcher/broker_questions.h"
#include "topologies/launcher/commands/command_line.h"
#include "topologies/launcher/data_dir.h"
#include "topologies/launcher/describe.h"
#include "topologies/launcher/kept_libraries.h"
#include "topologies/launcher/library_fit.h"
#include "topologies/launcher/programs.h"
#include "topologies/launcher/state_trial.h"
#include "topologies/launcher/topology_file.h"

namespace weir::launcher {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

/// What is said to a broker that dies over it is answered by nobody: then it is said again.
constexpr std::chrono::seconds kStatusDeadline{2};
/// A broker that died has a successor within so long, or will have none.
constexpr std::chrono::seconds kGoneMax{10};
constexpr int kLookAgainMs = 50;

struct Arguments {
  std::string stage;
  std::string library;
  std::string file;
  std::string data_dir;
  bool back = false;
  bool dry_run = false;
  bool untried = false;
  bool wait = false;
  std::string timeout = "60s";
};

/// A library, by what is in it, and where it lies now.
struct Version {
  std::string hash;
  std::string name;
  std::string origin;
  std::string path;
};

/// Its name, and what tells it from another one that has the same.
std::string told(const Version& version, const Version& other) {
  return version.name != other.name ? version.name : fmt::format("{} ({:.8})", version.name, version.hash);
}

Version version_of(const Json& json) {
  return {json.value("hash", ""), json.value("name", ""), json.value("origin", ""), ""};
}

/// A stage as the broker's status tells of it.
struct Sight {
  std::string state;
  Version library;
  std::optional<Version> before;
  std::string upgrade;  ///< "moving", "moved", "settled"; "" where there was none
  std::string why;      ///< why it went back by itself
  std::int64_t outdated = 0;
  std::int64_t moving = 0;
};

Result<Sight> look(RunningBroker& broker, const std::string& stage) {
  const Result<Bytes> answer = broker.ask(wire::MapWriter("status").finish(), kStatusDeadline);
  if (!answer) return answer.error();
  const Result<wire::MapReader> map = wire::MapReader::parse(*answer);
  if (!map) return map.error();
  const Json status = Json::parse(map->text("json"), nullptr, false);
  if (!status.is_object()) return {Code::kInvalid, "the broker's status is no JSON; is it of another version?"};
  for (const Json& each : status.value("stages", Json::array())) {
    if (each.value("name", "") != stage) continue;
    Sight sight;
    sight.state = each.value("state", "");
    sight.library = version_of(each.value("library", Json::object()));
    sight.moving = each.value("shards_moving", std::int64_t{0});
    const Json upgrade = each.value("upgrade", Json::object());
    sight.upgrade = upgrade.value("state", "");
    sight.why = upgrade.value("why", "");
    sight.outdated = upgrade.value("workers_outdated", std::int64_t{0});
    if (const auto before = upgrade.find("before"); before != upgrade.end()) sight.before = version_of(*before);
    return sight;
  }
  return {Code::kRefused, fmt::format("the topology \"{}\" has no stage \"{}\"", status.value("topology", ""), stage)};
}

/// Errors: as RunningBroker::find, with what to do where nothing runs.
Result<Sight> look_at(const std::string& data_dir, const std::string& stage, bool back) {
  Result<RunningBroker> broker = RunningBroker::find(data_dir);
  if (broker) return look(*broker, stage);
  if (broker.error().code != Code::kNotFound) return broker.error();
  if (back) {
    return {Code::kNotFound,
            fmt::format("nothing is running on {}: the way back is open while it runs: `weir run`, and say this again",
                        data_dir)};
  }
  return {Code::kNotFound,
          fmt::format("nothing is running on {}: a stopped topology takes another library by its file: name it in "
                      "\"libraries\", and `weir run`",
                      data_dir)};
}

Result<wire::MapReader> say(const Arguments& arguments, const std::string& data_dir, const Version& wanted,
                            bool dry_run) {
  wire::MapWriter request("upgrade");
  request.put("stage", arguments.stage);
  request.put("hash", wanted.hash);
  request.put("name", wanted.name);
  request.put("origin", wanted.origin);
  request.put("back", std::uint64_t{arguments.back ? 1U : 0U});
  request.put("dry_run", std::uint64_t{dry_run ? 1U : 0U});
  Result<wire::MapReader> answer =
      ask_running_again(data_dir, std::move(request).finish(), "upgrades", "with the new library");
  if (answer && answer->op() == "refused") return {Code::kRefused, answer->text("error")};
  return answer;
}

/// The library that is wanted. Errors: it is not there, or there is none to go back to.
Result<Version> wanted_of(const Arguments& arguments, const Sight& sight, const KeptLibraries& kept) {
  if (!arguments.back) {
    std::error_code ignored;
    const std::string path = std::filesystem::absolute(arguments.library, ignored).lexically_normal();
    const Result<std::string> hash = wire::library_hash(path);
    if (!hash) return hash.error();
    return Version{*hash, file_name(path), path, path};
  }
  if (!sight.before) {
    return {Code::kRefused, fmt::format("stage \"{}\" has nothing to go back to: it runs with {}", arguments.stage,
                                        sight.library.name)};
  }
  Version wanted = *sight.before;
  wanted.path = kept.path(wanted.hash, wanted.name);
  if (kept.has(wanted.hash, wanted.name)) return wanted;
  const Result<std::string> found = wire::library_hash(wanted.origin);
  if (!found || *found != wanted.hash) {
    return {Code::kNotFound, fmt::format("the library before, {} (from {}), is gone: its copy {} is not there any more",
                                         wanted.name, wanted.origin, wanted.path)};
  }
  wanted.path = wanted.origin;
  return wanted;
}

/// Whether what the library says of itself suits the stage. Errors: kInvalid with a sentence.
Status suits(const Arguments& arguments, const std::string& data_dir, const Version& wanted, const Version& now,
             const Programs& programs) {
  const Result<std::string> text = read_text(data_dir + "/weir.json");
  if (!text) return {text.error().code, fmt::format("{}/weir.json {}", data_dir, text.error().message)};
  const Json owner = Json::parse(*text, nullptr, false);
  if (!owner.is_object() || !owner.contains("topology"))
    return {Code::kInvalid, fmt::format("{}/weir.json is damaged", data_dir)};
  const Result<Topology> topology = decode_resolved(owner["topology"].dump());
  if (!topology) return topology.error();
  const StageSpec* stage = topology->find_stage(arguments.stage);
  if (stage == nullptr) return {Code::kInvalid, fmt::format("{}/weir.json has no such stage", data_dir)};
  const std::vector<Described> described = describe(programs.stage, {wanted.path, now.path});
  if (!described[0].plugins) return described[0].plugins.error();
  const auto find = [&](const std::vector<Plugin>& plugins) -> const Plugin* {
    for (const Plugin& plugin : plugins) {
      if (plugin.name == stage->plugin) return &plugin;
    }
    return nullptr;
  };
  const Plugin* plugin = find(*described[0].plugins);
  if (plugin == nullptr) {
    return {Code::kInvalid,
            fmt::format("{} has no plugin \"{}\", which stage \"{}\" runs", wanted.path, stage->plugin, stage->name)};
  }
  const Plugin* before = described[1].plugins ? find(*described[1].plugins) : nullptr;
  if (const auto why = why_not(*stage, *plugin, before)) return {Code::kInvalid, *why};
  return {};
}

int wait(const Arguments& arguments, const std::string& data_dir, const Version& wanted,
         std::chrono::microseconds timeout) {
  const auto end = Clock::now() + timeout;
  auto answered = Clock::now();
  std::string missing = "no broker answers";
  while (true) {
    const Result<Sight> sight = look_at(data_dir, arguments.stage, arguments.back);
    const bool gone = !sight && sight.error().code == Code::kNotFound;
    if (!gone) answered = Clock::now();
    if (gone && Clock::now() - answered > kGoneMax) return refuse(sight.error().message, kExitFailed);
    if (sight) {
      if (sight->library.hash != wanted.hash) {
        return refuse(fmt::format("{} runs with {} again: {}", arguments.stage, told(sight->library, wanted),
                                  sight->why.empty() ? "somebody has decided otherwise since" : sight->why),
                      kExitFailed);
      }
      if (sight->state == "finished") {
        fmt::print(stderr, "{} has finished\n", arguments.stage);
        return kExitDone;
      }
      if (sight->upgrade != "moving") {
        fmt::print(stderr, "{} runs with {}\n", arguments.stage, wanted.name);
        return kExitDone;
      }
      missing = fmt::format("{} workers still have another library, {} shards are on their way", sight->outdated,
                            sight->moving);
    }
    if (Clock::now() >= end) {
      return refuse(fmt::format("{} is not there yet after {}: {}; it goes on without being waited for",
                                arguments.stage, arguments.timeout, missing),
                    kExitFailed);
    }
    ::poll(nullptr, 0, kLookAgainMs);
  }
}

int upgrade(const Arguments& arguments) {
  const Result<std::chrono::microseconds> timeout = parse_duration(arguments.timeout);
  if (!timeout) return refuse("--timeout: " + timeout.error().message, kExitRefused);
  if (arguments.back == !arguments.library.empty())
    return refuse("say --library PATH, or --back, and not both", kExitRefused);
  const Result<std::string> data_dir = find_data_dir(arguments.data_dir, arguments.file);
  if (!data_dir) return refuse_data_dir(data_dir.error());
  const Result<Sight> sight = look_at(*data_dir, arguments.stage, arguments.back);
  if (!sight) return refuse(sight.error().message, kExitFailed);
  const KeptLibraries kept(*data_dir);
  Result<Version> wanted = wanted_of(arguments, *sight, kept);
  if (!wanted) return refuse(wanted.error().message, kExitFailed);

  // Nothing moves, and nothing is kept, before all of this is answered.
  const Result<wire::MapReader> may = say(arguments, *data_dir, *wanted, /*dry_run=*/true);
  if (!may) return refuse(may.error().message, kExitFailed);
  Version now = sight->library;
  now.path = kept.has(now.hash, now.name) ? kept.path(now.hash, now.name) : now.origin;
  if (may->integer("changed", 0) == 0) {
    fmt::print(stderr, "{} runs with {} already\n", arguments.stage, wanted->name);
    return arguments.wait && !arguments.dry_run ? wait(arguments, *data_dir, *wanted, *timeout) : kExitDone;
  }
  const Programs programs = Programs::beside_self();
  if (const Status fits = suits(arguments, *data_dir, *wanted, now, programs); !fits)
    return refuse(fmt::format("{}; nothing was changed", fits.error().message), kExitFailed);
  const Result<client::EndpointFile> endpoint = client::read_endpoint(*data_dir);
  if (!endpoint) return refuse(endpoint.error().message, kExitFailed);
  const Result<StateTried> tried = try_state(programs.stage, endpoint->broker, arguments.stage, wanted->path);
  if (!tried) return refuse(fmt::format("{}; nothing was changed", tried.error().message), kExitFailed);
  const std::string state = tried->values == 0    ? "there is no state yet"
                            : tried->unknown == 0 ? fmt::format("all {} values of its state can be read", tried->values)
                                                  : fmt::format("of {} values of its state {} says nothing of {}",
                                                                tried->values, wanted->name, tried->unknown);
  if (tried->unknown != 0 && !arguments.untried) {
    return refuse(fmt::format("{}: nobody knows whether it can go on with them. Let the stage declare its `States` "
                              "(weir/state_types.h), or say --untried to go on all the same; nothing was changed",
                              state),
                  kExitFailed);
  }
  if (arguments.dry_run) {
    fmt::print(stderr, "{} could run with {} instead of {}: {}\n", arguments.stage, told(*wanted, now),
               told(now, *wanted), state);
    return kExitDone;
  }
  for (const Version* each : {static_cast<const Version*>(&now), static_cast<const Version*>(&*wanted)}) {
    const Result<std::string> copy = kept.keep(each->path, each->hash, each->name);
    if (!copy) return refuse(fmt::format("{}; nothing was changed", copy.error().message), kExitFailed);
    // It may find others beside it where it was, and not where its copy is.
    const std::vector<Described> described = describe(programs.stage, {*copy});
    if (!described.front().plugins) {
      return refuse(fmt::format("the copy that the data directory would run: {}; nothing was changed",
                                described.front().plugins.error().message),
                    kExitFailed);
    }
  }
  const Result<wire::MapReader> said = say(arguments, *data_dir, *wanted, /*dry_run=*/false);
  if (!said) return refuse(said.error().message, kExitFailed);
  fmt::print(stderr, "{} is to run with {} instead of {}: {}\n", arguments.stage, told(*wanted, now),
             told(now, *wanted), state);
  return arguments.wait ? wait(arguments, *data_dir, *wanted, *timeout) : kExitDone;
}

}  // namespace

void add_upgrade(CLI::App& app, CommandLine& line) {
  auto arguments = std::make_shared<Arguments>();  // shared by the parser's callback and what it chooses
  CLI::App* command = app.add_subcommand("upgrade", "Gives a stage another version of its library while it runs");
  command->add_option("STAGE", arguments->stage, "the stage")->required();
  command->add_option("FILE", arguments->file, "the topology (default: the only one that runs under ./.weir)");
  command->add_option("--library", arguments->library, "the new library");
  command->add_flag("--back", arguments->back, "to the library that it had before");
  command->add_flag("--dry-run", arguments->dry_run, "only see whether it could be, and change nothing");
  command->add_flag("--untried", arguments->untried,
                    "also where the library does not say whether it can read the state");
  command->add_flag("--wait", arguments->wait, "until all workers run with it and have all shards");
  command->add_option("--timeout", arguments->timeout, "how long --wait waits (60s)");
  command->add_option("--data", arguments->data_dir, "its data directory");
  command->callback([arguments, &line] { line.run = [arguments] { return upgrade(*arguments); }; });
}

}  // namespace weir::launcher
