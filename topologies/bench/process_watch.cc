// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/process_watch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace weir::bench {
namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// "broker", the stage that a worker runs, or nothing, as for one that only describes a library.
std::string role_of(pid_t pid) {
  const std::string line = contents(fmt::format("/proc/{}/cmdline", pid));
  std::vector<std::string> arguments;
  for (std::istringstream rest(line); std::getline(rest, arguments.emplace_back(), '\0');) {
  }
  const std::string program = std::filesystem::path(arguments.front()).filename();
  if (program == "weir-broker") return "broker";
  const auto option = std::ranges::find(arguments, "--stage");
  if (program != "weir-stage" || option == arguments.end() || option + 1 == arguments.end()) return {};
  return *(option + 1);
}

/// User and system time of all threads, also of those that ended; 0 when the process is gone.
double cpu_seconds(pid_t pid) {
  const std::string line = contents(fmt::format("/proc/{}/stat", pid));
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(line.substr(name_end + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;  // state to cmajflt, of proc(5)
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

std::uint64_t peak_bytes(pid_t pid) {
  const std::string text = contents(fmt::format("/proc/{}/status", pid));
  const std::size_t at = text.find("VmHWM:");
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + 6, nullptr, 10) * 1024;
}

}  // namespace

void ProcessWatch::look() {
  look_at(launcher_, "weir");
  std::istringstream children(contents(fmt::format("/proc/{}/task/{}/children", launcher_, launcher_)));
  for (pid_t pid = 0; children >> pid;) look_at(pid, {});
}

void ProcessWatch::look_at(pid_t pid, const std::string& role_known) {
  Seen& seen = seen_[pid];
  // Between fork and exec a child still has its parent's command line, so that one without a role is asked again.
  if (seen.role.empty()) seen.role = role_known.empty() ? role_of(pid) : role_known;
  seen.cpu_seconds = std::max(seen.cpu_seconds, cpu_seconds(pid));
  seen.peak_bytes = std::max(seen.peak_bytes, peak_bytes(pid));
}

std::vector<ProcessUse> ProcessWatch::uses() const {
  std::vector<ProcessUse> uses = {{"weir", 0, 0}, {"broker", 0, 0}};
  for (const auto& [pid, seen] : seen_) {
    if (seen.role.empty()) continue;
    auto use = std::ranges::find(uses, seen.role, &ProcessUse::process);
    if (use == uses.end()) use = uses.insert(uses.end(), {seen.role, 0, 0});
    use->cpu_seconds += seen.cpu_seconds;
    use->peak_bytes = std::max(use->peak_bytes, seen.peak_bytes);
  }
  return uses;
}

}  // namespace weir::bench
