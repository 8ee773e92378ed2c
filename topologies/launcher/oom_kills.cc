// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/oom_kills.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>
#include <vector>

namespace weir::launcher {
namespace {

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

bool names_memory(std::string_view list) {
  const std::vector<std::string_view> parts = split(list, ',');
  return std::ranges::find(parts, "memory") != parts.end();
}

/// Where a hierarchy is mounted, and which of its groups is there.
struct Mount {
  std::string_view root;
  std::string_view point;
};

std::optional<Mount> mount_of(std::string_view mountinfo, bool version2) {
  for (const std::string_view line : split(mountinfo, '\n')) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    const std::vector<std::string_view> before = split(line.substr(0, dash), ' ');
    const std::vector<std::string_view> behind = split(line.substr(dash + 3), ' ');
    if (before.size() < 5 || behind.size() < 3) continue;
    if (version2 ? behind[0] == "cgroup2" : behind[0] == "cgroup" && names_memory(behind[2]))
      return Mount{before[3], before[4]};
  }
  return std::nullopt;
}

std::string read_all(const char* path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace

OomKills::OomKills(std::string counter) : counter_(std::move(counter)), explained_(count()), seen_(explained_) {}

void OomKills::watch(Monotonic now) {
  if (looked_at_ && now - *looked_at_ < kFreshMin) return;
  // What was counted before the last look has had its time; what came since may belong to a death not noticed yet.
  if (looked_at_) explained_ = seen_;
  seen_ = count();
  looked_at_ = now;
}

bool OomKills::take() {
  const std::optional<std::uint64_t> counted = count();
  if (!counted || !explained_ || *counted <= *explained_) return false;
  ++*explained_;
  seen_ = std::max(seen_, explained_);
  return true;
}

std::optional<std::uint64_t> OomKills::count() const {
  std::ifstream file(counter_);
  std::string name;
  std::uint64_t number = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream parts(line);
    if (parts >> name >> number && name == "oom_kill") return number;
  }
  return std::nullopt;
}

std::string oom_counter_of(std::string_view cgroup, std::string_view mountinfo) {
  std::optional<std::string_view> first;
  std::optional<std::string_view> second;
  for (const std::string_view line : split(cgroup, '\n')) {
    const std::size_t controllers = line.find(':');
    if (controllers == std::string_view::npos) continue;
    const std::size_t path = line.find(':', controllers + 1);
    if (path == std::string_view::npos) continue;
    const std::string_view list = line.substr(controllers + 1, path - controllers - 1);
    if (names_memory(list)) first = line.substr(path + 1);
    if (list.empty()) second = line.substr(path + 1);
  }
  // Where both are in use the memory controller belongs to one of them, and version 1 says so.
  const bool version2 = !first;
  std::optional<std::string_view> group = version2 ? second : first;
  const std::optional<Mount> mount = mount_of(mountinfo, version2);
  if (!group || !mount) return "";
  // In a container the mount may show our group, or one above it, as its root.
  if (mount->root != "/") group = group->starts_with(mount->root) ? group->substr(mount->root.size()) : "";
  std::string file(mount->point);
  if (*group != "/") file += *group;
  return file + (version2 ? "/memory.events" : "/memory.oom_control");
}

std::string own_oom_counter() {
  return oom_counter_of(read_all("/proc/self/cgroup"), read_all("/proc/self/mountinfo"));
}

}  // namespace weir::launcher
