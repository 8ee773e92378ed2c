// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "sdk/wire/map.h"
#include "topologies/launcher/broker_questions.h"
#include "topologies/launcher/commands/command_line.h"
#include "topologies/launcher/data_dir.h"
#include "topologies/launcher/printable.h"

namespace weir::launcher {
namespace {

using Json = nlohmann::ordered_json;

/// Reading the letters may take a while, and a busy disk its time.
constexpr std::chrono::seconds kMovedDeadline{60};

struct Arguments {
  std::vector<std::string> words;  ///< ids and the topology's file
  std::string data_dir;
  std::string stage;
  bool json = false;
  bool all = false;
};

/// A field as text: "-" where it is missing or null.
std::string cell(const Json& object, const char* name) {
  const auto at = object.find(name);
  if (at == object.end() || at->is_null()) return "-";
  return at->is_string() ? at->get<std::string>() : at->dump();
}

/// Whether `word` has the form STAGE/STREAM/SHARD/OFFSET or STAGE/STREAM/SHARD/OFFSET/FURTHER, which no file should.
bool is_id(std::string_view word) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0; at != std::string_view::npos;) {
    const std::size_t slash = word.find('/', at);
    parts.push_back(word.substr(at, slash == std::string_view::npos ? slash : slash - at));
    at = slash == std::string_view::npos ? slash : slash + 1;
  }
  const auto number = [](std::string_view part) {
    return !part.empty() && std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
  };
  return (parts.size() == 4 || parts.size() == 5) && !parts[0].empty() && number(parts[2]) && number(parts[3]);
}

/// Sorts the words into ids and at most one file. Errors: kInvalid.
Result<std::vector<std::string>> take_ids(const std::vector<std::string>& words, std::string& file) {
  std::vector<std::string> ids;
  for (const std::string& word : words) {
    if (is_id(word)) {
      ids.push_back(word);
      continue;
    }
    std::error_code ignored;
    const bool is_file = word.ends_with(".json") || std::filesystem::exists(word, ignored);
    if (!is_file || !file.empty()) {
      return {Code::kInvalid,
              fmt::format("\"{}\" is no id of a dead letter; they look like STAGE/STREAM/SHARD/OFFSET", word)};
    }
    file = word;
  }
  return ids;
}

int print(const Arguments& arguments, bool show) {
  std::string file;
  const auto ids = take_ids(arguments.words, file);
  if (!ids) return refuse(ids.error().message, kExitRefused);
  const Result<std::string> data_dir = find_data_dir(arguments.data_dir, file);
  if (!data_dir) return refuse_data_dir(data_dir.error());
  const Result<std::string> text = ask_broker(*data_dir, "dead_letters", Programs::beside_self());
  if (!text) return refuse(text.error().message, kExitFailed);
  Json letters = Json::parse(*text, nullptr, false);
  if (!letters.is_array())
    return refuse("the broker's dead letters are no JSON; is it of another version?", kExitFailed);
  for (const std::string& id : *ids) {
    if (std::ranges::none_of(letters, [&](const Json& letter) { return cell(letter, "id") == id; }))
      return refuse(fmt::format("there is no dead letter {}", id), kExitFailed);
  }
  if (!ids->empty()) {
    Json chosen = Json::array();
    std::ranges::copy_if(letters, std::back_inserter(chosen),
                         [&](const Json& letter) { return std::ranges::count(*ids, cell(letter, "id")) != 0; });
    letters = std::move(chosen);
  }
  if (arguments.json) {
    fmt::print("{}\n", letters.dump(2));
    return kExitDone;
  }
  for (const Json& letter : letters) {
    fmt::print("{}  attempts {}  {}\n", cell(letter, "id"), cell(letter, "attempts"),
               printable(cell(letter, "reason")));
    if (!show) continue;
    const auto part = [&letter](const char* name) {
      const auto at = letter.find(name);
      return at == letter.end() ? std::string("null") : at->dump();
    };
    fmt::print("  {{\"key\":{},\"value\":{},\"timestamp\":{}}}\n", part("key"), part("value"), part("timestamp"));
  }
  if (letters.empty()) fmt::print(stderr, "no dead letters\n");
  return kExitDone;
}

int move(const Arguments& arguments, bool again) {
  std::string file;
  const auto ids = take_ids(arguments.words, file);
  if (!ids) return refuse(ids.error().message, kExitRefused);
  const int ways = (ids->empty() ? 0 : 1) + (arguments.stage.empty() ? 0 : 1) + (arguments.all ? 1 : 0);
  if (ways != 1)
    return refuse("say which dead letters: by their ids, with --stage STAGE those of a stage, or with --all",
                  kExitRefused);
  const Result<std::string> data_dir = find_data_dir(arguments.data_dir, file);
  if (!data_dir) return refuse_data_dir(data_dir.error());
  wire::MapWriter request(again ? "requeue_letters" : "drop_letters");
  if (!ids->empty()) request.put("ids", *ids);
  if (!arguments.stage.empty()) request.put("stage", arguments.stage);
  if (arguments.all) request.put("all", true);
  const Result<wire::MapReader> map =
      ask_running(*data_dir, std::move(request).finish(), "moves dead letters",
                  "with --stages none only its broker; with --hold also when it has finished", kMovedDeadline);
  if (!map) return refuse(map.error().message, kExitFailed);
  const std::int64_t refused = map->integer("refused", 0);
  const std::int64_t left = map->integer("left", 0);
  const std::int64_t count = map->integer("count", 0);
  fmt::print(stderr, "{} dead {} {}\n", count, count == 1 ? "letter" : "letters", again ? "requeued" : "dropped");
  if (const msgpack::object* sentences = map->find("sentences");
      sentences != nullptr && sentences->type == msgpack::type::ARRAY) {
    for (std::uint32_t i = 0; i < sentences->via.array.size; ++i) {
      const msgpack::object& sentence = sentences->via.array.ptr[i];
      if (sentence.type != msgpack::type::STR) continue;
      fmt::print(stderr, "{}\n", std::string_view(sentence.via.str.ptr, sentence.via.str.size));
    }
  }
  if (refused != 0)
    fmt::print(stderr, "{} {} not {}\n", refused, refused == 1 ? "was" : "were", again ? "requeued" : "dropped");
  if (left != 0)
    fmt::print(stderr, "{} {} left, since these are much already: say it again when they are worked off\n", left,
               left == 1 ? "is" : "are");
  return refused == 0 && left == 0 ? kExitDone : kExitFailed;
}

}  // namespace

void add_dead_letters(CLI::App& app, CommandLine& line) {
  auto arguments = std::make_shared<Arguments>();  // shared by the parser's callback and what it chooses
  CLI::App* command = app.add_subcommand(
      "dead-letters", "Shows the records that stages could not process, drops them, or has them processed again");
  command->require_subcommand(1);
  for (const bool show : {false, true}) {
    CLI::App* part = command->add_subcommand(show ? "show" : "list", show ? "The same with the records themselves"
                                                                          : "One line each: place, attempts, reason");
    part->add_option(
        "ID", arguments->words,
        "only these, by ids as `list` names them; and the topology's file (default: the only one that runs "
        "under ./.weir)");
    part->add_option("--data", arguments->data_dir, "its data directory");
    part->add_flag("--json", arguments->json,
                   "print [{id, stage, stream, shard, offset, attempts, reason, key, value, timestamp}]");
    part->callback([arguments, show, &line] { line.run = [arguments, show] { return print(*arguments, show); }; });
  }
  for (const bool again : {true, false}) {
    CLI::App* part = command->add_subcommand(
        again ? "requeue" : "drop",
        again ? "Puts records in front of their stage again, in order; each once" : "Deletes dead letters, for good");
    part->add_option("ID", arguments->words,
                     "ids as `list` names them; and the topology's file (default: the only one that runs)");
    part->add_option("--data", arguments->data_dir, "its data directory");
    part->add_option("--stage", arguments->stage, "all dead letters of this stage");
    part->add_flag("--all", arguments->all, "all dead letters");
    part->callback([arguments, again, &line] { line.run = [arguments, again] { return move(*arguments, again); }; });
  }
}

}  // namespace weir::launcher
