// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <optional>

#include "sdk/base/clock.h"
#include "sdk/base/units.h"
#include "sdk/wire/map.h"
#include "topologies/launcher/broker_questions.h"
#include "topologies/launcher/commands/command_line.h"
#include "topologies/launcher/data_dir.h"

namespace weir::launcher {
namespace {

/// Where each shard begins is looked for in what the stream keeps, which may be much.
constexpr std::chrono::minutes kDeadline{10};

struct Arguments {
  std::string stage;
  std::string stream;
  std::string from;
  std::string file;
  std::string data_dir;
  bool reset = false;
};

std::optional<std::int64_t> as_offset(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= 0 ? std::optional(number) : std::nullopt;
}

/// "2026-11-24T01:02:03Z", or so long ago: "90m". In microseconds since 1970.
std::optional<std::int64_t> as_time(const std::string& text) {
  std::tm parts{};
  if (const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
      rest != nullptr && rest[0] == 'Z' && rest[1] == 0) {
    return std::int64_t{::timegm(&parts)} * 1'000'000;
  }
  if (const Result<std::chrono::microseconds> ago = parse_duration(text)) return wall_now_us() - ago->count();
  return std::nullopt;
}

int replay(const Arguments& arguments) {
  wire::MapWriter request("replay");
  request.put("stage", arguments.stage);
  request.put("stream", arguments.stream);
  request.put("reset", arguments.reset);
  if (arguments.from == "start") {
    request.put("from", arguments.from);
  } else if (const auto offset = as_offset(arguments.from)) {
    request.put("offset", *offset);
  } else if (const auto time = as_time(arguments.from)) {
    request.put("time_us", *time);
  } else {
    return refuse(fmt::format("\"{}\" is no place to replay from; write start, an offset, a time like "
                              "2026-11-24T13:00:00Z, or how long ago, like 90m",
                              arguments.from),
                  kExitRefused);
  }
  const Result<std::string> data_dir = find_data_dir(arguments.data_dir, arguments.file);
  if (!data_dir) return refuse_data_dir(data_dir.error());
  const Result<wire::MapReader> map =
      ask_running(*data_dir, std::move(request).finish(), "replays", "with --stages none only its broker", kDeadline);
  if (!map) return refuse(map.error().message, kExitFailed);
  fmt::print(stderr, "{} processes {} records of {} again{}\n", arguments.stage, map->integer("records", 0),
             arguments.stream, arguments.reset ? ", with its state as if it had none" : "");
  return kExitDone;
}

}  // namespace

void add_replay(CLI::App& app, CommandLine& line) {
  auto arguments = std::make_shared<Arguments>();  // shared by the parser's callback and what it chooses
  CLI::App* command =
      app.add_subcommand("replay", "Has a stage process again what it has consumed and its stream keeps");
  command->add_option("STAGE", arguments->stage, "the stage")->required();
  command->add_option("FILE", arguments->file, "the topology (default: the only one that runs under ./.weir)");
  command->add_option("--stream", arguments->stream, "the stream that it goes back in")->required();
  command
      ->add_option("--from", arguments->from,
                   "start (the oldest that is kept), an offset, a time (2026-11-24T13:00:00Z), or how long ago (90m)")
      ->required();
  command->add_flag("--reset-state", arguments->reset, "and its state is as if it had none");
  command->add_option("--data", arguments->data_dir, "its data directory");
  command->callback([arguments, &line] { line.run = [arguments] { return replay(*arguments); }; });
}

}  // namespace weir::launcher
