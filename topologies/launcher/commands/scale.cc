// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <poll.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "sdk/base/units.h"
#include "sdk/wire/map.h"
#include "topologies/launcher/broker_questions.h"
#include "topologies/launcher/commands/command_line.h"
#include "topologies/launcher/data_dir.h"

namespace weir::launcher {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kStatusDeadline{2};
/// A broker that died has a successor within so long, or will have none.
constexpr std::chrono::seconds kGoneMax{10};
constexpr int kLookAgainMs = 50;

struct Arguments {
  std::string stage;
  std::int64_t workers = 0;
  std::string file;
  std::string data_dir;
  bool wait = false;
  std::string timeout = "60s";
};

/// A stage as the broker's status tells of it.
struct Sight {
  std::string state;
  std::int64_t wanted = 0;
  std::int64_t running = 0;
  std::int64_t going = 0;   ///< asked to go, and not gone yet
  std::int64_t moving = 0;  ///< shards on their way
};

Result<Sight> look(RunningBroker& broker, const std::string& stage) {
  const Result<Bytes> answer = broker.ask(wire::MapWriter("status").finish(), kStatusDeadline);
  if (!answer) return answer.error();
  const Result<wire::MapReader> map = wire::MapReader::parse(*answer);
  if (!map) return map.error();
  const Json status = Json::parse(map->text("json"), nullptr, false);
  if (!status.is_object()) return {Code::kInvalid, "the broker's status is no JSON; is it of another version?"};
  Sight sight;
  for (const Json& each : status.value("stages", Json::array())) {
    if (each.value("name", "") != stage) continue;
    sight.state = each.value("state", "");
    sight.wanted = each.value("workers_wanted", std::int64_t{0});
    sight.running = each.value("workers", std::int64_t{0});
    sight.moving = each.value("shards_moving", std::int64_t{0});
  }
  for (const Json& each : status.value("workers", Json::array()))
    sight.going += each.value("stage", "") == stage && each.value("state", "") == "draining" ? 1 : 0;
  return sight;
}

int wait(const Arguments& arguments, const std::string& data_dir, std::chrono::microseconds timeout) {
  Result<RunningBroker> broker = RunningBroker::find(data_dir);
  const auto end = Clock::now() + timeout;
  std::string missing = "no broker answers";
  auto answered = Clock::now();
  while (true) {
    const bool gone = !broker && broker.error().code == Code::kNotFound;
    if (!gone) answered = Clock::now();
    if (gone && Clock::now() - answered > kGoneMax) return refuse(broker.error().message, kExitFailed);
    const Result<Sight> sight = broker ? look(*broker, arguments.stage) : broker.error();
    if (sight) {
      if (sight->state == "finished") {
        fmt::print(stderr, "{} has finished\n", arguments.stage);
        return kExitDone;
      }
      if (sight->wanted != arguments.workers) {
        return refuse(fmt::format("{} is to have {} workers by now: somebody, or its load, has scaled it since",
                                  arguments.stage, sight->wanted),
                      kExitFailed);
      }
      if (sight->running == sight->wanted && sight->going == 0 && sight->moving == 0) {
        fmt::print(stderr, "{} runs with {} workers\n", arguments.stage, sight->running);
        return kExitDone;
      }
      missing = fmt::format("{} of {} workers run, {} are still to go, {} shards are on their way", sight->running,
                            sight->wanted, sight->going, sight->moving);
    }
    if (Clock::now() >= end) {
      return refuse(fmt::format("{} is not there yet after {}: {}; it goes on without being waited for",
                                arguments.stage, arguments.timeout, missing),
                    kExitFailed);
    }
    ::poll(nullptr, 0, kLookAgainMs);
    // A broker that died has a successor, which goes on with it.
    if (!sight) broker = RunningBroker::find(data_dir);
  }
}

/// A number and no step is wanted, so that it may be said again to the successor of a broker that died over it.
Result<wire::MapReader> say(const Arguments& arguments, const std::string& data_dir) {
  wire::MapWriter request("scale");
  request.put("stage", arguments.stage);
  request.put("workers", arguments.workers);
  return ask_running_again(data_dir, std::move(request).finish(), "scales", "or with another number in its file");
}

int scale(const Arguments& arguments) {
  const Result<std::chrono::microseconds> timeout = parse_duration(arguments.timeout);
  if (!timeout) return refuse("--timeout: " + timeout.error().message, kExitRefused);
  const Result<std::string> data_dir = find_data_dir(arguments.data_dir, arguments.file);
  if (!data_dir) return refuse_data_dir(data_dir.error());
  const Result<wire::MapReader> map = say(arguments, *data_dir);
  if (!map) return refuse(map.error().message, kExitFailed);
  const std::int64_t before = map->integer("before", 0);
  if (before == arguments.workers) {
    fmt::print(stderr, "{} is to have {} workers, as before\n", arguments.stage, before);
  } else {
    fmt::print(stderr, "{} is to have {} workers instead of {}\n", arguments.stage, arguments.workers, before);
  }
  return arguments.wait ? wait(arguments, *data_dir, *timeout) : kExitDone;
}

}  // namespace

void add_scale(CLI::App& app, CommandLine& line) {
  auto arguments = std::make_shared<Arguments>();  // shared by the parser's callback and what it chooses
  CLI::App* command = app.add_subcommand("scale", "Gives a stage another number of workers while it runs");
  command->add_option("STAGE", arguments->stage, "the stage")->required();
  command->add_option("N", arguments->workers, "how many workers it is to have")->required();
  command->add_option("FILE", arguments->file, "the topology (default: the only one that runs under ./.weir)");
  command->add_option("--data", arguments->data_dir, "its data directory");
  command->add_flag("--wait", arguments->wait, "until they run and have fair shares of its shards");
  command->add_option("--timeout", arguments->timeout, "how long --wait waits (60s)");
  command->callback([arguments, &line] { line.run = [arguments] { return scale(*arguments); }; });
}

}  // namespace weir::launcher
