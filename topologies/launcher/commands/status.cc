// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "sdk/client/endpoint_file.h"
#include "topologies/launcher/broker_questions.h"
#include "topologies/launcher/commands/command_line.h"
#include "topologies/launcher/data_dir.h"

namespace weir::launcher {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  std::string file;
  std::string data_dir;
  bool json = false;
};

/// A field as a cell of a table: "-" where it is missing or null.
std::string cell(const Json& object, const char* name) {
  const auto at = object.find(name);
  if (at == object.end() || at->is_null()) return "-";
  return at->is_string() ? at->get<std::string>() : at->dump();
}

/// The list `name` of the status as a table of `fields`; nothing where it is empty.
void print_table(const Json& status, const char* name, const std::vector<const char*>& fields) {
  const auto list = status.find(name);
  if (list == status.end() || !list->is_array() || list->empty()) return;
  std::vector<std::size_t> widths;
  for (const char* field : fields) {
    std::size_t width = std::string_view(field).size();
    for (const Json& row : *list) width = std::max(width, cell(row, field).size());
    widths.push_back(width);
  }
  fmt::print("\n");
  for (std::size_t i = 0; i < fields.size(); ++i) fmt::print("{:<{}}  ", fields[i], widths[i]);
  fmt::print("\n");
  for (const Json& row : *list) {
    for (std::size_t i = 0; i < fields.size(); ++i) fmt::print("{:<{}}  ", cell(row, fields[i]), widths[i]);
    fmt::print("\n");
  }
}

/// Where another number of workers runs than is to: "2 of 3".
void tell_wanted(Json& status) {
  if (!status.contains("stages")) return;
  for (Json& stage : status["stages"]) {
    const auto wanted = stage.find("workers_wanted");
    if (wanted == stage.end() || stage["state"] == "finished" || *wanted == stage["workers"]) continue;
    stage["workers"] = fmt::format("{} of {}", stage["workers"].dump(), wanted->dump());
  }
}

/// Which library was chosen for a stage, and how far that has come.
void tell_library(const Json& stage) {
  const auto upgrade = stage.find("upgrade");
  if (upgrade == stage.end()) return;
  const Json library = stage.value("library", Json::object());
  fmt::print("{} runs with {} (from {}), {}", cell(stage, "name"), cell(library, "name"), cell(library, "origin"),
             cell(*upgrade, "state"));
  if (upgrade->contains("before")) fmt::print("; before: {}", cell((*upgrade)["before"], "name"));
  fmt::print("{}\n", upgrade->contains("why") ? ": " + cell(*upgrade, "why") : std::string());
}

int status(const Arguments& arguments) {
  const Result<std::string> data_dir = find_data_dir(arguments.data_dir, arguments.file);
  if (!data_dir) return refuse_data_dir(data_dir.error());
  const Result<std::string> text = ask_broker(*data_dir, "status", Programs::beside_self());
  if (!text) return refuse(text.error().message, kExitFailed);
  Json status = Json::parse(*text, nullptr, false);
  if (!status.is_object()) return refuse("the broker's status is no JSON; is it of another version?", kExitFailed);
  if (arguments.json) {
    fmt::print("{}\n", status.dump(2));
    return kExitDone;
  }
  const Result<client::EndpointFile> endpoint = client::read_endpoint(*data_dir);
  const std::string state = cell(status, "state");
  // Of one that is stopped the directory knows only whether it had come to its end.
  const std::string_view at_rest = state == "finished" ? "not running; finished" : "not running";
  fmt::print("{}: {}, data in {}\n", cell(status, "topology"), endpoint ? state : at_rest, *data_dir);
  if (status.contains("problem")) fmt::print("{}\n", cell(status, "problem"));
  if (endpoint && !endpoint->http.empty()) fmt::print("metrics and status at {}/metrics\n", endpoint->http);
  if (endpoint) tell_wanted(status);
  for (Json& stage : status["stages"]) {
    if (!endpoint && stage.value("state", "") == "starting") stage["state"] = "stopped";
  }
  print_table(status, "stages",
              {"name", "plugin", "state", "workers", "records_in", "records_out", "errors", "dead_letters", "restarts",
               "backlog_records", "watermark"});
  for (const Json& stage : status.value("stages", Json::array())) {
    if (!endpoint || !stage.contains("workers_max")) continue;
    fmt::print("{} follows its load with {} to {} workers{}\n", cell(stage, "name"), cell(stage, "workers_min"),
               cell(stage, "workers_max"), stage.contains("workers_why") ? ": " + cell(stage, "workers_why") : "");
  }
  for (const Json& stage : status.value("stages", Json::array())) tell_library(stage);
  std::vector<const char*> of_streams = {"name",    "transport", "partition",       "shards",
                                         "records", "bytes",     "backlog_records", "watermark"};
  const Json streams = status.value("streams", Json::array());
  for (const char* field : {"deliveries", "lost_records"}) {
    const auto has = [&](const Json& stream) { return stream.contains(field); };
    if (std::any_of(streams.begin(), streams.end(), has)) of_streams.push_back(field);
  }
  print_table(status, "streams", of_streams);
  for (const Json& stream : streams) {
    if (!stream.contains("hot_keys")) continue;
    const Json& hot = stream["hot_keys"];
    std::string keys;
    for (const Json& key : hot.value("keys", Json::array())) {
      keys += fmt::format("{}{} ({:.1f} %)", keys.empty() ? "" : ", ",
                          key["key"].is_null() ? "one too long to print" : key["key"].dump(),
                          100 * key.value("share", 0.0));
    }
    // Of a topology that is stopped only the records tell.
    fmt::print("hot keys of {}, {:.1f} % of its records so far{}\n", cell(stream, "name"),
               100 * hot.value("ratio", 0.0),
               !endpoint      ? ""
               : keys.empty() ? ": none now"
                              : ": " + keys);
  }
  for (const Json& stream : streams) {
    if (!stream.contains("boundaries")) continue;
    std::string boundaries;
    for (const Json& boundary : stream["boundaries"])
      boundaries += (boundaries.empty() ? "" : ", ") + boundary.dump(-1, ' ', false, Json::error_handler_t::replace);
    fmt::print("boundaries of {}: {}, moved {} time{}\n", cell(stream, "name"),
               boundaries.empty() ? "none yet" : boundaries, cell(stream, "boundary_moves"),
               stream.value("boundary_moves", 0) == 1 ? "" : "s");
  }
  Json groups = Json::array();
  for (const Json& stream : streams) {
    for (Json group : stream.value("groups", Json::array())) {
      group["stream"] = stream.value("name", "");
      groups.push_back(std::move(group));
    }
  }
  print_table(Json{{"groups outside", std::move(groups)}}, "groups outside",
              {"stream", "name", "backlog_records", "consumers"});
  if (endpoint) print_table(status, "workers", {"stage", "worker", "pid", "incarnation", "state"});
  return kExitDone;
}

void add_place(CLI::App& command, Arguments& arguments) {
  command.add_option("FILE", arguments.file, "the topology (default: the only one that runs under ./.weir)");
  command.add_option("--data", arguments.data_dir, "its data directory");
}

}  // namespace

void add_status(CLI::App& app, CommandLine& line) {
  auto arguments = std::make_shared<Arguments>();  // shared by the parser's callback and what it chooses
  CLI::App* command = app.add_subcommand("status", "Shows how far a topology has come, running or stopped");
  add_place(*command, *arguments);
  command->add_flag("--json", arguments->json, "print the object of /api/status");
  command->callback([arguments, &line] { line.run = [arguments] { return status(*arguments); }; });
}

}  // namespace weir::launcher
