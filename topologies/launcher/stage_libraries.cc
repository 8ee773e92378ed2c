// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/stage_libraries.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "sdk/wire/library_hash.h"

namespace weir::launcher {
namespace {

/// "" for one that cannot be read, whose workers will say so.
std::string hash_of(const std::string& path) {
  const Result<std::string> hash = wire::library_hash(path);
  return hash ? *hash : std::string();
}

}  // namespace

StageLibraries::Looked StageLibraries::look(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return {};
  return {found.st_dev, found.st_ino, found.st_size,
          std::int64_t{found.st_ctim.tv_sec} * 1'000'000'000 + found.st_ctim.tv_nsec};
}

StageLibraries::StageLibraries(const Topology& topology, const Plugins& plugins, const std::string& data_dir,
                               const std::string& standard)
    : topology_(topology), kept_(data_dir), standard_(standard) {
  std::map<std::string, std::string> hashes;
  for (const StageSpec& stage : topology.stages) {
    const Plugin* plugin = plugins.find(stage.plugin);
    if (plugin == nullptr) continue;
    looked_[stage.name] = look(plugin->library);
    std::string& hash = hashes[plugin->library];
    if (hash.empty()) hash = hash_of(plugin->library);
    own_[stage.name] = {hash, file_name(plugin->library), plugin->library, "", "", false, ""};
  }
}

Status StageLibraries::choose(const std::map<std::string, LibrarySaid>& chosen) {
  for (const auto& [stage, said] : chosen) {
    chosen_.erase(stage);
    const auto own = own_.find(stage);
    if (said.hash.empty() || own == own_.end()) continue;
    const std::string& file = own->second.hash;
    if (file != said.hash && file != said.in_file && file != said.left) continue;  // the file's is wanted
    if (own->second.hash != said.hash && !kept_.has(said.hash, said.name)) {
      const Result<std::string> again = kept_.keep(said.origin, said.hash, said.name);
      if (!again) {
        return {Code::kNotFound,
                fmt::format("stage {} was upgraded and runs with {} (from {}), but its copy {} is gone or damaged: put "
                            "that file there, or let the topology lead to another library with \"{}\", which is "
                            "taken then",
                            stage, said.name, said.origin, kept_.path(said.hash, said.name),
                            topology_.find_stage(stage)->plugin)};
      }
    }
    chosen_[stage] = said;
  }
  return {};
}

std::vector<std::string> StageLibraries::chosen_otherwise() const {
  std::vector<std::string> sentences;
  for (const auto& [stage, chosen] : chosen_) {
    const LibrarySaid& own = own_.at(stage);
    if (own.hash == chosen.hash || own.hash.empty()) continue;
    sentences.push_back(fmt::format(
        "stage {} runs with {} ({:.8}), as `weir upgrade` has chosen, and not with {} ({:.8}), to which the topology "
        "leads: {} undoes the choice",
        stage, chosen.name, chosen.hash, own.origin, own.hash,
        chosen.before == own.hash ? fmt::format("`weir upgrade {} --back`", stage)
                                  : fmt::format("`weir upgrade {} --library {}`", stage, own.origin)));
  }
  return sentences;
}

std::vector<std::string> StageLibraries::keep_own() const {
  std::vector<std::string> problems;
  for (const auto& [stage, own] : own_) {
    if (own.hash.empty() || own.origin.starts_with(standard_ + "/")) continue;
    const Result<std::string> kept = kept_.keep(own.origin, own.hash, own.name);
    if (!kept && std::ranges::find(problems, kept.error().message) == problems.end())
      problems.push_back(kept.error().message);
  }
  return problems;
}

void StageLibraries::forget_others() const {
  std::set<std::string> hashes;
  for (const auto& [stage, own] : own_) hashes.insert(own.hash);
  for (const auto& [stage, chosen] : chosen_) hashes.insert({chosen.hash, chosen.before});
  kept_.forget_others(hashes);
}

std::vector<const StageSpec*> StageLibraries::hosted(const StageSpec& host) const {
  const auto index = static_cast<std::uint32_t>(&host - topology_.stages.data());
  std::vector<const StageSpec*> stages;
  for (const StageSpec& stage : topology_.stages) {
    if (stage.host == index) stages.push_back(&stage);
  }
  std::ranges::sort(stages, {}, [](const StageSpec* stage) { return stage->name; });
  return stages;
}

std::string StageLibraries::text_of(const StageSpec& host) const {
  std::vector<std::string> hashes;
  for (const StageSpec* stage : hosted(host)) {
    const auto chosen = chosen_.find(stage->name);
    const auto own = own_.find(stage->name);
    hashes.push_back(chosen != chosen_.end() ? chosen->second.hash : own != own_.end() ? own->second.hash : "");
  }
  return wire::join_libraries(hashes);
}

std::vector<std::pair<std::string, std::string>> StageLibraries::unproven(const StageSpec& host) const {
  std::vector<std::pair<std::string, std::string>> stages;
  for (const StageSpec* stage : hosted(host)) {
    const auto chosen = chosen_.find(stage->name);
    if (chosen != chosen_.end() && !chosen->second.settled) stages.emplace_back(stage->name, chosen->second.hash);
  }
  return stages;
}

bool StageLibraries::may_go_back(const StageSpec& host) const {
  return std::ranges::any_of(hosted(host), [&](const StageSpec* stage) {
    const auto chosen = chosen_.find(stage->name);
    return chosen != chosen_.end() && !chosen->second.settled && !chosen->second.before.empty();
  });
}

std::vector<std::string> StageLibraries::arguments(const StageSpec& host) const {
  std::vector<std::string> arguments = {"--runs", text_of(host)};
  std::vector<std::string> libraries;
  for (const StageSpec* stage : hosted(host)) {
    const auto own = own_.find(stage->name);
    if (own == own_.end()) continue;
    const auto chosen = chosen_.find(stage->name);
    const LibrarySaid& said = chosen != chosen_.end() ? chosen->second : own->second;
    std::string path = own->second.origin;
    // Who starts again must not find another library than those who run.
    const bool as_it_was = said.hash == own->second.hash && look(path) == looked_.at(stage->name);
    if (!as_it_was && kept_.has(said.hash, said.name)) path = kept_.path(said.hash, said.name);
    if (path != own->second.origin) {
      arguments.insert(arguments.end(), {"--stage-library", fmt::format("{}={}", stage->name, path)});
    } else if (std::ranges::find(libraries, path) == libraries.end()) {
      libraries.push_back(path);
      arguments.insert(arguments.end(), {"--library", path});
    }
  }
  return arguments;
}

}  // namespace weir::launcher
