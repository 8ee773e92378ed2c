// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/commands/command_line.h"

#include <fmt/format.h>

#include <cstdio>

namespace weir::launcher {

int refuse(std::string_view text, int exit_code) {
  fmt::print(stderr, "weir: error: {}\n", text);
  return exit_code;
}

int refuse_data_dir(const Error& error) {
  if (error.code != Code::kInvalid) return refuse(error.message, kExitFailed);
  fmt::print(stderr, "{}\n", error.message);
  return kExitRefused;
}

}  // namespace weir::launcher
