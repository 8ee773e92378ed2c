// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/runtime_dir.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <string.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <utility>

namespace weir::launcher {

Result<RuntimeDir> RuntimeDir::make() {
  const char* base = ::getenv("XDG_RUNTIME_DIR");
  int error = 0;
  for (const std::string& folder : {std::string(base != nullptr ? base : ""), std::string("/tmp")}) {
    if (folder.empty()) continue;
    std::string path = folder + "/weir-XXXXXX";
    if (::mkdtemp(path.data()) != nullptr) return RuntimeDir(std::move(path));  // mode 0700
    error = errno;
  }
  return {Code::kIo, fmt::format("no folder can be made in $XDG_RUNTIME_DIR nor /tmp: {}", ::strerror(error))};
}

RuntimeDir::RuntimeDir(RuntimeDir&& other) noexcept : path_(std::exchange(other.path_, {})) {}

RuntimeDir& RuntimeDir::operator=(RuntimeDir&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

RuntimeDir::~RuntimeDir() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

Result<std::string> RuntimeDir::write(std::string_view name, std::string_view text) const {
  std::string path = fmt::format("{}/{}", path_, name);
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) return {Code::kIo, fmt::format("{} cannot be written; is the disk full?", path)};
  return path;
}

}  // namespace weir::launcher
