// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/kept_libraries.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "sdk/wire/library_hash.h"
#include "topologies/launcher/fd.h"

namespace weir::launcher {
namespace {

namespace fs = std::filesystem;

Status sync(const std::string& path, int flags) {
  const Fd fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (fd && ::fsync(fd.get()) == 0) return {};
  return {Code::kIo, fmt::format("{} cannot be written to disk: {}", path, ::strerror(errno))};
}

}  // namespace

std::string file_name(const std::string& path) { return fs::path(path).filename(); }

std::string KeptLibraries::path(const std::string& hash, const std::string& name) const {
  return fmt::format("{}/{}/{}", folder_, hash, name);
}

bool KeptLibraries::has(const std::string& hash, const std::string& name) const {
  const Result<std::string> found = wire::library_hash(path(hash, name));
  return found && *found == hash;
}

Result<std::string> KeptLibraries::keep(const std::string& source, const std::string& hash,
                                        const std::string& name) const {
  std::string kept = path(hash, name);
  if (has(hash, name)) return kept;
  const std::string folder = fs::path(kept).parent_path();
  const std::string unfinished = fmt::format("{}.{}", kept, ::getpid());
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) fs::copy_file(source, unfinished, fs::copy_options::overwrite_existing, error);
  const auto failed = [&](const std::string& why) {
    std::error_code ignored;
    fs::remove(unfinished, ignored);
    return Result<std::string>(Code::kIo,
                               fmt::format("the stage library {} cannot be kept as {}: {}", source, kept, why));
  };
  if (error) return failed(error.message());
  if (const Status synced = sync(unfinished, O_RDONLY); !synced) return failed(synced.error().message);
  const Result<std::string> copied = wire::library_hash(unfinished);
  if (!copied) return failed(copied.error().message);
  if (*copied != hash) {
    fs::remove(unfinished, error);
    return {Code::kInvalid, fmt::format("the stage library {} has changed since it was looked at", source)};
  }
  fs::rename(unfinished, kept, error);
  if (error) return failed(error.message());
  // The name, the folder's and that of the folder of all.
  for (const std::string& each : {folder, folder_, std::string(fs::path(folder_).parent_path())}) {
    if (const Status synced = sync(each, O_RDONLY | O_DIRECTORY); !synced) return synced.error();
  }
  return kept;
}

void KeptLibraries::forget_others(const std::set<std::string>& hashes) const {
  std::error_code ignored;  // what is left behind takes room, and nothing else
  std::vector<fs::path> others;
  for (fs::directory_iterator at(folder_, ignored), end; !ignored && at != end; at.increment(ignored)) {
    const std::string hash = at->path().filename();
    if (wire::is_library_hash(hash) && !hashes.contains(hash)) others.push_back(at->path());
  }
  for (const fs::path& each : others) fs::remove_all(each, ignored);
}

}  // namespace weir::launcher
