// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "broker/journal/posix_disk.h"
#include "broker/server/data_dir.h"
#include "sdk/base/result.h"
#include "sdk/topology/topology.h"

namespace weir::server {

/// A data directory at rest, to be looked at: nothing in it is written, and no broker starts on it meanwhile.
/// Thread: one.
class RestingDir {
 public:
  /// Errors: kInUse ("DIR is in use by process N"), kNotFound (no data directory of Weir, no journal in it), kRefused
  /// (its journal is gone), kIo.
  static Result<RestingDir> open(const std::string& path);
  RestingDir(RestingDir&& other) noexcept;
  RestingDir& operator=(RestingDir&&) = delete;
  ~RestingDir();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] journal::Disk& disk() { return *disk_; }
  /// Whose directory it is; weir.json may be damaged like anything else.
  [[nodiscard]] const Result<Topology>& topology() const { return topology_; }
  /// What a ledger begins with to read the journal.
  [[nodiscard]] const Result<Topology>& begins_with() const { return begins_with_; }
  /// Seed of the journal that was served from there, as far as weir.json knows.
  [[nodiscard]] const std::optional<std::uint64_t>& journal() const { return journal_; }
  /// Whether that journal is there. Errors: as find_journal() (broker/server/known_journal.h).
  [[nodiscard]] Status find_journal() const;

 private:
  RestingDir(std::string path, int lock, const Result<DataDir::Owner>& owner, std::unique_ptr<journal::PosixDisk> disk)
      : path_(std::move(path)),
        lock_(lock),
        topology_(owner.ok() ? Result<Topology>(owner->topology) : Result<Topology>(owner.error())),
        begins_with_(owner.ok() ? Result<Topology>(owner->begins_with) : Result<Topology>(owner.error())),
        journal_(owner.ok() ? owner->journal : std::nullopt),
        disk_(std::move(disk)) {}

  std::string path_;
  int lock_ = -1;  ///< -1: there is no lock file, so that nobody has ever run here
  Result<Topology> topology_;
  Result<Topology> begins_with_;
  std::optional<std::uint64_t> journal_;
  std::unique_ptr<journal::PosixDisk> disk_;
};

}  // namespace weir::server
