// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/topology_file.h"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <utility>

#include "sdk/topology/json_document.h"
#include "topologies/launcher/describe.h"

namespace weir::launcher {
namespace {

/// A plugin that is not there may be in a library that nobody could look into: then that is the error.
void lay_to_libraries(const std::vector<std::size_t>& unknown, std::vector<Diagnostic>& of_file, TopologyFile& loaded) {
  bool missing = false;
  for (Diagnostic& each : of_file) {
    if (each.severity != Severity::kError || !each.pointer.ends_with("/plugin")) continue;
    if (!each.message.starts_with("no plugin ")) continue;
    each.severity = Severity::kWarning;
    missing = true;
  }
  const auto is_unknown = [&](const Diagnostic& each) {
    return std::ranges::find(unknown, static_cast<std::size_t>(&each - loaded.diagnostics.data())) != unknown.end();
  };
  for (Diagnostic& each : loaded.diagnostics) {
    if (missing && is_unknown(each)) each.severity = Severity::kError;
  }
  const auto is_mistake = [&](const Diagnostic& each) {
    return each.severity == Severity::kError && !is_unknown(each);
  };
  loaded.libraries_unknown = std::ranges::none_of(loaded.diagnostics, is_mistake) && !has_errors(of_file);
}

/// A finding about library number `index` of those that `document`, with --set applied, names.
Diagnostic finding_at(const std::string& file, const JsonDocument& document, std::size_t index, std::string message) {
  const std::string pointer = fmt::format("/libraries/{}", index);
  const Place place = document.root ? place_of(*document.root, pointer) : Place{};
  return {Severity::kError, place.setting ? "--set" : file, place.line, pointer, std::move(message)};
}

}  // namespace

Result<std::string> read_text(const std::string& file) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream(std::fopen(file.c_str(), "rbe"), &std::fclose);
  if (stream == nullptr) {
    return {errno == ENOENT ? Code::kNotFound : Code::kIo, fmt::format("cannot be read: {}", ::strerror(errno))};
  }
  std::string text(kJsonTextBytesMax + 1, '\0');
  errno = 0;
  text.resize(std::fread(text.data(), 1, text.size(), stream.get()));
  if (std::ferror(stream.get()) != 0) return {Code::kIo, fmt::format("cannot be read: {}", ::strerror(errno))};
  if (text.size() > kJsonTextBytesMax)
    return {Code::kInvalid, fmt::format("is larger than {} bytes, which is no topology", kJsonTextBytesMax)};
  return text;
}

TopologyFile load_topology_file(const std::string& file, const std::vector<Setting>& settings,
                                const Programs& programs) {
  TopologyFile loaded;
  const Result<std::string> text = read_text(file);
  if (!text) {
    loaded.diagnostics.push_back({Severity::kError, file, 1, "", text.error().message});
    return loaded;
  }
  const Environment environment = process_environment();
  // A library may be named and found as well; what the file names comes first, so that findings have a place.
  std::vector<std::string> libraries = read_libraries(file, *text, settings, environment);
  const std::size_t named = libraries.size();
  for (std::string& library : programs.libraries(environment)) {
    if (std::ranges::find(libraries, library) == libraries.end()) libraries.push_back(std::move(library));
  }

  JsonDocument document = parse_json(*text);
  if (document.root) apply_settings(*document.root, settings);  // what is wrong with them load_topology says
  const std::vector<Described> described = describe(programs.stage, libraries);
  std::vector<std::size_t> unknown;  // findings of libraries that may hold anything
  for (std::size_t i = 0; i < described.size(); ++i) {
    std::vector<std::string> problems;
    if (!described[i].plugins) problems.push_back(described[i].plugins.error().message);
    for (const Plugin& plugin : described[i].plugins ? *described[i].plugins : std::vector<Plugin>()) {
      if (Status added = loaded.plugins.add(plugin); !added) problems.push_back(added.error().message);
    }
    const bool died = described[i].died && (i >= named || described[i].plugins.error().code == Code::kUnavailable);
    for (std::string& problem : problems) {
      if (died) unknown.push_back(loaded.diagnostics.size());
      if (i < named)
        loaded.diagnostics.push_back(finding_at(file, document, i, std::move(problem)));
      else  // found, not asked for: it matters only if a stage lacks its plugin, which is an error of its own
        loaded.diagnostics.push_back({Severity::kWarning, file, 1, "", std::move(problem)});
    }
  }
  Loaded checked = load_topology(file, *text, settings, loaded.plugins, environment);
  if (!unknown.empty()) lay_to_libraries(unknown, checked.diagnostics, loaded);
  std::ranges::move(checked.diagnostics, std::back_inserter(loaded.diagnostics));
  if (checked.topology && !has_errors(loaded.diagnostics)) {
    loaded.topology = *std::move(checked.topology);
    loaded.resolved = std::move(checked.resolved);
  }
  return loaded;
}

Result<std::vector<Setting>> parse_settings(const std::vector<std::string>& arguments) {
  std::vector<Setting> settings;
  for (const std::string& argument : arguments) {
    Result<Setting> setting = parse_setting(argument);
    if (!setting) return {Code::kInvalid, fmt::format("--set: {}", setting.error().message)};
    settings.push_back(*std::move(setting));
  }
  return settings;
}

void print(const std::vector<Diagnostic>& diagnostics) {
  for (const Diagnostic& diagnostic : diagnostics) fmt::print(stderr, "{}\n", to_text(diagnostic));
}

}  // namespace weir::launcher
