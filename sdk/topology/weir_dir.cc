// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/weir_dir.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

namespace weir {

bool is_weirs(const std::string& path) {
  std::ifstream file(path + "/weir.json", std::ios::binary);
  if (!file) return false;
  const auto owner = nlohmann::json::parse(file, nullptr, false);
  const auto has = [&](const char* field, nlohmann::json::value_t type) {
    const auto found = owner.find(field);
    return found != owner.end() && found->type() == type;
  };
  using Type = nlohmann::json::value_t;
  return owner.is_object() && has("format", Type::number_unsigned) && has("name", Type::string) &&
         has("topology", Type::object);
}

std::string foreign_entry(const std::string& path) {
  std::string first;
  std::error_code error;
  for (std::filesystem::directory_iterator at(path, error), end; !error && at != end; at.increment(error)) {
    std::string name = at->path().filename().string();
    if (name == "lock" || name == "weir.json.new" || name == "journal.cleared") continue;
    if (name == "journal") return name;
    if (first.empty() || name < first) first = std::move(name);
  }
  return first;
}

}  // namespace weir
