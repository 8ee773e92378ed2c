// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/scratch_folder.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <string.h>

#include <cerrno>
#include <filesystem>
#include <utility>

namespace weir::bench {

Result<ScratchFolder> ScratchFolder::make_in(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::string path = std::filesystem::absolute(folder, error).lexically_normal() / "weir-bench-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) {
    return {Code::kIo,
            fmt::format("no folder can be made in {}: {}; name another with --data", folder, ::strerror(errno))};
  }
  return ScratchFolder(std::move(path));
}

ScratchFolder::ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace weir::bench
