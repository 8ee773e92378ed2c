// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/programs.h"

#include <algorithm>
#include <filesystem>
#include <string_view>

namespace weir::launcher {
namespace {

namespace fs = std::filesystem;

void add_folder(const fs::path& folder, std::vector<std::string>& libraries) {
  std::vector<std::string> found;
  std::error_code ignored;  // a folder that is not there holds nothing
  for (fs::directory_iterator at(folder, ignored), end; !ignored && at != end; at.increment(ignored)) {
    if (at->path().extension() == ".so") found.push_back(fs::absolute(at->path(), ignored).lexically_normal());
  }
  std::ranges::sort(found);
  std::ranges::move(found, std::back_inserter(libraries));
}

}  // namespace

Programs Programs::beside_self() {
  std::error_code ignored;
  const fs::path folder = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  const fs::path prefix = folder.parent_path();
  return {folder / "weir-broker", folder / "weir-stage", prefix / "lib" / "weir", prefix};
}

std::vector<std::string> Programs::libraries(const Environment& environment) const {
  std::vector<std::string> libraries;
  add_folder(stage_library, libraries);
  const std::string more = environment("WEIR_LIBRARY_PATH").value_or("");
  for (std::size_t start = 0; start <= more.size();) {
    const std::size_t end = std::min(more.find(':', start), more.size());
    const fs::path path = more.substr(start, end - start);
    start = end + 1;
    if (path.empty()) continue;
    std::error_code ignored;
    if (fs::is_directory(path, ignored))
      add_folder(path, libraries);
    else
      libraries.push_back(fs::absolute(path, ignored).lexically_normal());
  }
  std::vector<std::string> once;
  for (std::string& library : libraries) {
    if (std::ranges::find(once, library) == once.end()) once.push_back(std::move(library));
  }
  return once;
}

}  // namespace weir::launcher
