// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/data_dir.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <utility>
#include <vector>

#include "sdk/client/endpoint_file.h"
#include "sdk/topology/json_document.h"
#include "topologies/launcher/topology_file.h"

namespace weir::launcher {
namespace {

namespace fs = std::filesystem;

/// The data directory that a topology file names: read loosely, so that a file with mistakes still leads there.
Result<std::string> data_dir_of(const std::string& file) {
  const auto wrong = [&](std::uint32_t line, std::string pointer, std::string message) {
    return Error{Code::kInvalid,
                 to_text(Diagnostic{Severity::kError, file, line, std::move(pointer), std::move(message)})};
  };
  const Result<std::string> text = read_text(file);
  if (!text) return wrong(1, "", text.error().message);
  const JsonDocument document = parse_json(*text);
  if (!document.root) {
    const JsonProblem problem = document.problems.empty() ? JsonProblem{} : document.problems.front();
    return wrong(problem.line, problem.pointer, problem.message);
  }
  const JsonNode* named = follow(*document.root, "/broker/data_dir");
  if (named != nullptr && named->is(JsonNode::Kind::kString)) {
    Result<std::string> expanded = expand(named->text, process_environment());
    if (!expanded) return wrong(named->place.line, "/broker/data_dir", expanded.error().message);
    return expanded;
  }
  const JsonNode* name = document.root->find("name");
  if (name == nullptr || !name->is(JsonNode::Kind::kString))
    return wrong(name == nullptr ? 1 : name->place.line, "/name",
                 "the topology has no name; is it one? (weir validate says more)");
  return ".weir/" + name->text;
}

}  // namespace

std::string absolute_data_dir(const std::string& path) {
  std::error_code ignored;  // the working directory may be gone; the path then stays as given
  const fs::path absolute = fs::absolute(path, ignored);
  std::string text = (absolute.empty() ? fs::path(path) : absolute).lexically_normal();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

bool is_weir_dir(const std::string& data_dir) {
  std::error_code ignored;
  return fs::exists(data_dir + "/weir.json", ignored);
}

Result<std::string> find_data_dir(const std::string& data_dir, const std::string& file) {
  if (!data_dir.empty()) {
    std::string path = absolute_data_dir(data_dir);
    if (!is_weir_dir(path)) return {Code::kNotFound, fmt::format("{} is no data directory of Weir", path)};
    return path;
  }
  if (!file.empty()) {
    const Result<std::string> named = data_dir_of(file);
    if (!named) return named.error();
    std::string path = absolute_data_dir(*named);
    if (!is_weir_dir(path)) {
      return {Code::kNotFound,
              fmt::format("{} has not run here: {} is no data directory of Weir; if it ran with --data, say that", file,
                          path)};
    }
    return path;
  }
  std::vector<std::string> running;
  std::error_code ignored;  // without .weir nothing runs there
  for (fs::directory_iterator at(".weir", ignored), end; !ignored && at != end; at.increment(ignored)) {
    std::string path = absolute_data_dir(at->path());
    if (client::read_endpoint(path).ok()) running.push_back(std::move(path));
  }
  std::ranges::sort(running);
  if (running.empty()) {
    return {Code::kNotFound, "nothing is running under ./.weir; name the topology file, or its directory with --data"};
  }
  if (running.size() > 1) {
    return {Code::kRefused,
            fmt::format("several topologies are running; name one with --data ({})", fmt::join(running, ", "))};
  }
  return running.front();
}

}  // namespace weir::launcher
