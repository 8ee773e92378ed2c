// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/load.h"

#include <algorithm>
#include <filesystem>
#include <tuple>
#include <utility>

#include "sdk/topology/fill_defaults.h"
#include "sdk/topology/hot_keys.h"
#include "sdk/topology/json_document.h"
#include "sdk/topology/read.h"
#include "sdk/topology/report.h"
#include "sdk/topology/rules.h"

namespace weir {
namespace {

/// Absolute, without touching what is not there.
std::filesystem::path folder_of(const std::string& file) {
  std::error_code ignored;  // the working directory may be gone; the path then stays as given
  const std::filesystem::path absolute = std::filesystem::absolute(file, ignored);
  return (absolute.empty() ? std::filesystem::path(file) : absolute).lexically_normal().parent_path();
}

}  // namespace

std::vector<std::string> read_libraries(const std::string& file, std::string_view text,
                                        const std::vector<Setting>& settings, const Environment& environment) {
  JsonDocument document = parse_json(text);
  if (!document.root) return {};
  apply_settings(*document.root, settings);
  Report report(file, *document.root);
  return read_head(*document.root, {report, Plugins(), environment, folder_of(file)}).libraries;
}

Loaded load_topology(const std::string& file, std::string_view text, const std::vector<Setting>& settings,
                     const Plugins& plugins, const Environment& environment) {
  Loaded loaded;
  JsonDocument document = parse_json(text);
  for (JsonProblem& problem : document.problems) {
    if (loaded.diagnostics.size() >= Report::kFindingsMax) break;
    loaded.diagnostics.push_back(
        {Severity::kError, file, problem.line, std::move(problem.pointer), std::move(problem.message)});
  }
  if (!document.root) return loaded;
  JsonNode& root = *document.root;
  std::vector<Diagnostic> unset = apply_settings(root, settings);
  std::ranges::move(unset, std::back_inserter(loaded.diagnostics));

  Report report(file, root);
  const ReadContext context{report, plugins, environment, folder_of(file)};
  Draft draft = read_topology(root, context);
  check_rules(draft, report);
  std::vector<Diagnostic> found = report.take();
  std::ranges::move(found, std::back_inserter(loaded.diagnostics));
  std::ranges::stable_sort(loaded.diagnostics, [](const Diagnostic& a, const Diagnostic& b) {
    return std::tuple(a.file == "--set", a.line) < std::tuple(b.file == "--set", b.line);
  });
  if (has_errors(loaded.diagnostics)) return loaded;
  loaded.resolved = fill_defaults(root, draft.topology);
  add_hot_key_streams(draft.topology);
  loaded.topology = std::move(draft.topology);
  return loaded;
}

}  // namespace weir
