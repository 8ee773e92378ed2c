// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "topologies/launcher/commands/command_line.h"
#include "topologies/launcher/data_dir.h"

namespace weir::launcher {
namespace {

struct Arguments {
  std::string what;
  std::string file;
  std::string data_dir;
  bool json = false;
  std::string to;
  std::uint64_t from = 0;
  std::uint64_t count = 0;  ///< 0: no end
};

/// The journal is the broker's: this process becomes a weir-broker that looks at it.
int journal(const Arguments& arguments) {
  // A directory that is named need not look like one of Weir's: its weir.json may be what is damaged.
  const Result<std::string> data_dir =
      arguments.data_dir.empty() ? find_data_dir("", arguments.file) : Result(absolute_data_dir(arguments.data_dir));
  if (!data_dir) return refuse_data_dir(data_dir.error());
  const Programs programs = Programs::beside_self();
  std::vector<std::string> argv = {programs.broker, "--journal", arguments.what, "--data", *data_dir};
  if (arguments.json) argv.emplace_back("--json");
  if (arguments.from != 0) argv.insert(argv.end(), {"--from", std::to_string(arguments.from)});
  if (arguments.count != 0) argv.insert(argv.end(), {"--count", std::to_string(arguments.count)});
  if (!arguments.to.empty()) argv.insert(argv.end(), {"--to", absolute_data_dir(arguments.to)});
  std::vector<char*> pointers;
  pointers.reserve(argv.size() + 1);
  for (std::string& each : argv) pointers.push_back(each.data());
  pointers.push_back(nullptr);
  ::execv(programs.broker.c_str(), pointers.data());
  return refuse(fmt::format("cannot run {}: {}; is Weir installed whole?", programs.broker, std::strerror(errno)),
                kExitFailed);
}

}  // namespace

void add_journal(CLI::App& app, CommandLine& line) {
  auto arguments = std::make_shared<Arguments>();  // shared by the parser's callbacks and what they choose
  CLI::App* command = app.add_subcommand("journal", "Looks into the journal of a topology that is stopped");
  command->require_subcommand(1);
  const auto add = [&](const char* name, const char* purpose) {
    CLI::App* part = command->add_subcommand(name, purpose);
    part->add_option("FILE", arguments->file, "the topology");
    part->add_option("--data", arguments->data_dir, "its data directory");
    part->callback([arguments, name, &line] {
      arguments->what = name;
      line.run = [arguments] { return journal(*arguments); };
    });
    return part;
  };
  CLI::App* check = add("check",
                        "Reads all of it and says what a start would do and what is damaged; writes nothing "
                        "(0: a start works and nothing is damaged, 1: damage)");
  check->add_flag("--json", arguments->json, "print one JSON object");
  CLI::App* dump = add("dump", "Prints what each entry says, one a line");
  dump->add_flag("--json", arguments->json, "print one JSON object a line");
  dump->add_option("--from", arguments->from, "begin with this sequence number");
  dump->add_option("--count", arguments->count, "end after so many lines")->check(CLI::PositiveNumber);
  CLI::App* salvage = add("salvage",
                          "Makes a new data directory out of what can be read of a damaged one, and says what "
                          "is lost; the damaged one is not touched");
  salvage->add_option("--to", arguments->to, "the new data directory; must not exist, or be empty")->required();
  salvage->add_flag("--json", arguments->json, "print one JSON object");
}

}  // namespace weir::launcher
