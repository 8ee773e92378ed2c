// SPDX-License-Identifier: Apache-2.0
#include "broker/server/resting_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "broker/server/data_dir.h"
#include "broker/server/known_journal.h"
#include "sdk/base/file_lock.h"

namespace weir::server {

Result<RestingDir> RestingDir::open(const std::string& path) {
  std::error_code error;
  const std::string whole = std::filesystem::absolute(path, error).lexically_normal().string();
  if (!std::filesystem::exists(whole + "/weir.json", error) && !std::filesystem::exists(whole + "/journal", error)) {
    return {Code::kNotFound,
            fmt::format("{} is no data directory of Weir (it has neither weir.json nor journal/)", whole)};
  }
  if (!std::filesystem::exists(whole + "/journal", error)) {
    const auto owner = DataDir::read_owner(whole);
    if (owner.ok() && owner->journal && !DataDir::half_cleared(whole)) return journal_gone(whole, *owner->journal);
    return {Code::kNotFound,
            fmt::format("{} has no journal: it was just made, or --fresh was cut short; `weir run` begins "
                        "anew there",
                        whole)};
  }
  auto disk = journal::PosixDisk::open_read_only(whole + "/journal");
  if (!disk.ok()) return disk.error();
  const int lock = ::open((whole + "/lock").c_str(), O_RDONLY | O_CLOEXEC);
  RestingDir directory(whole, lock, DataDir::read_owner(whole), std::move(*disk));
  // Shared: several may look at once, and a broker that starts meanwhile waits.
  if (lock >= 0 && !take_lock(lock, FileLock::kShared) && held_by_others(lock) == FileLock::kExclusive) {
    char text[64] = {};
    (void)!::pread(lock, text, sizeof(text) - 1, 0);
    long holder = 0;
    std::sscanf(text, "%ld", &holder);
    return {Code::kInUse, fmt::format("{} is in use by process {}; stop the topology first", whole, holder)};
  }
  return directory;
}

RestingDir::RestingDir(RestingDir&& other) noexcept
    : path_(std::move(other.path_)),
      lock_(other.lock_),
      topology_(std::move(other.topology_)),
      begins_with_(std::move(other.begins_with_)),
      journal_(other.journal_),
      disk_(std::move(other.disk_)) {
  other.lock_ = -1;
}

Status RestingDir::find_journal() const { return journal_ ? server::find_journal(*disk_, path_, *journal_) : Status(); }

RestingDir::~RestingDir() {
  if (lock_ >= 0) ::close(lock_);
}

}  // namespace weir::server
