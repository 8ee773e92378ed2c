// SPDX-License-Identifier: Apache-2.0
// weir: runs topologies, and looks into them.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "sdk/base/log.h"
#include "sdk/base/standard_output.h"
#include "sdk/topology/names.h"
#include "topologies/bench/command.h"
#include "topologies/launcher/commands/command_line.h"

namespace {

/// Descriptors 0 to 2 must be taken, or pipes to children would land there.
void open_standard_descriptors() {
  for (int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC); fd >= 0; fd = ::open("/dev/null", O_RDWR | O_CLOEXEC)) {
    if (fd <= 2) continue;
    ::close(fd);
    return;
  }
}

/// How a command ends that ended with `code`: what it printed must have got there.
int printed(int code) {
  const weir::Status status = weir::flush_standard_output();
  if (status.ok() || code != weir::launcher::kExitDone) return code;
  return weir::launcher::refuse(status.error().message, weir::launcher::kExitFailed);
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_descriptors();
  namespace launcher = weir::launcher;
  launcher::CommandLine line;
  CLI::App app("Weir: a message-queue-based streaming pipeline", "weir");
  app.set_version_flag("--version", "weir " WEIR_VERSION);
  app.add_option("--log-level", line.log_level, "debug, info (default), warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  app.fallthrough();
  app.require_subcommand(1);
  launcher::add_run(app, line);
  launcher::add_validate(app, line);
  launcher::add_graph(app, line);
  launcher::add_plugins(app, line);
  launcher::add_status(app, line);
  launcher::add_tail(app, line);
  launcher::add_produce(app, line);
  launcher::add_consume(app, line);
  launcher::add_dead_letters(app, line);
  launcher::add_replay(app, line);
  launcher::add_scale(app, line);
  launcher::add_upgrade(app, line);
  launcher::add_journal(app, line);
  launcher::add_new_stage(app, line);
  launcher::add_doctor(app, line);
  weir::bench::add_bench(app, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0 && app.get_subcommands().empty() && argc > 1 && argv[1][0] != '-') {
      std::vector<std::string> names;
      for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
        names.push_back(command->get_name());
      return launcher::refuse(weir::no_such("command", argv[1], "commands", std::move(names)), launcher::kExitRefused);
    }
    return printed(app.exit(error) == 0 ? launcher::kExitDone : launcher::kExitRefused);
  }
  weir::log::start("weir", line.log_level);
  return printed(line.run());
}
