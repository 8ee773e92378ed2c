// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "sdk/base/result.h"

namespace weir::launcher {

/// Exit codes of every command; `weir run` has 128 + signal too.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;   ///< could not: nothing is running, no such stage
inline constexpr int kExitRefused = 2;  ///< bad command line or file

/// What the arguments have chosen. Each add_... below describes one command to the parser; when that command is given
/// it sets `run`, which main() calls. The arguments live in the closures, since the parser writes into them.
struct CommandLine {
  std::string log_level = "info";
  std::function<int()> run;
};

void add_run(CLI::App& app, CommandLine& line);
void add_validate(CLI::App& app, CommandLine& line);
void add_graph(CLI::App& app, CommandLine& line);
void add_plugins(CLI::App& app, CommandLine& line);
void add_status(CLI::App& app, CommandLine& line);
void add_tail(CLI::App& app, CommandLine& line);
void add_produce(CLI::App& app, CommandLine& line);
void add_consume(CLI::App& app, CommandLine& line);
void add_dead_letters(CLI::App& app, CommandLine& line);
void add_replay(CLI::App& app, CommandLine& line);
void add_scale(CLI::App& app, CommandLine& line);
void add_upgrade(CLI::App& app, CommandLine& line);
void add_journal(CLI::App& app, CommandLine& line);
void add_new_stage(CLI::App& app, CommandLine& line);
void add_doctor(CLI::App& app, CommandLine& line);

/// `weir: error: TEXT` on standard error; returns `exit_code`.
int refuse(std::string_view text, int exit_code);
/// What find_data_dir says: a finding about the file stands as it is, with 2; all else is as above, with 1.
int refuse_data_dir(const Error& error);

}  // namespace weir::launcher
