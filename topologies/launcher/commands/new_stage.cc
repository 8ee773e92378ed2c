// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <string.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <memory>

#include "sdk/topology/names.h"
#include "topologies/launcher/commands/command_line.h"
#include "topologies/launcher/commands/stage_template.h"
#include "topologies/launcher/programs.h"

namespace weir::launcher {
namespace {

/// "top-words" -> "TopWords".
std::string class_name(std::string_view name) {
  std::string result;
  bool upper = true;
  for (const char c : name) {
    if (c == '-' || c == '_') {
      upper = true;
      continue;
    }
    result += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = false;
  }
  return result;
}

/// What CMake calls targets of its own: a project cannot have a stage library of these names.
constexpr std::array<std::string_view, 11> kTargetsOfCMake = {
    "all",     "clean",          "depend",     "edit_cache",    "help", "install",
    "package", "package_source", "preinstall", "rebuild_cache", "test"};

std::string fill(std::string_view text, const std::string& name, const std::string& prefix) {
  std::string filled(text);
  const std::pair<std::string_view, std::string> words[] = {
      {"@NAME@", name}, {"@CLASS@", class_name(name)}, {"@PREFIX@", prefix}};
  for (const auto& [mark, word] : words) {
    for (std::size_t at = filled.find(mark); at != std::string::npos; at = filled.find(mark, at + word.size()))
      filled.replace(at, mark.size(), word);
  }
  return filled;
}

int new_stage(const std::string& name) {
  if (!is_name(name)) {
    return refuse(fmt::format("\"{}\" cannot name a stage: write it as [a-z][a-z0-9_-]*, like top-words", name),
                  kExitRefused);
  }
  if (std::ranges::find(kTargetsOfCMake, name) != kTargetsOfCMake.end()) {
    return refuse(
        fmt::format("\"{}\" cannot name a stage here: CMake has a target of its own called so; choose another", name),
        kExitRefused);
  }
  if (::mkdir(name.c_str(), 0777) != 0) {
    return refuse(errno == EEXIST ? fmt::format("./{} exists already; choose another name", name)
                                  : fmt::format("./{} cannot be made: {}", name, ::strerror(errno)),
                  kExitFailed);
  }
  const std::string prefix = Programs::beside_self().prefix;
  for (const TemplateFile& file : kStageTemplate) {
    const std::string path = fmt::format("{}/{}", name, fill(file.name, name, prefix));
    std::ofstream stream(path, std::ios::binary);
    stream << fill(file.text, name, prefix);
    stream.close();
    if (!stream) return refuse(fmt::format("{} cannot be written; is the disk full?", path), kExitFailed);
    fmt::print("{}\n", path);
  }
  fmt::print(stderr, "build it: cd {} && cmake -B build && cmake --build build; README.md says more\n", name);
  return kExitDone;
}

}  // namespace

void add_new_stage(CLI::App& app, CommandLine& line) {
  auto name = std::make_shared<std::string>();  // shared by the parser's callback and what it chooses
  CLI::App* command = app.add_subcommand("new-stage", "Writes ./NAME: a stage of your own, with its build and test");
  command->add_option("NAME", *name, "the stage's name, [a-z][a-z0-9_-]*")->required();
  command->callback([name, &line] { line.run = [name] { return new_stage(*name); }; });
}

}  // namespace weir::launcher
