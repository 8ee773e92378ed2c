// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/journal/disk.h"
#include "broker/journal/pace.h"
#include "broker/server/lane_tail.h"
#include "sdk/base/bytes.h"
#include "sdk/base/result.h"
#include "sdk/wire/changes.h"

namespace weir::server {

/// A snapshot of one stage's state: the newest value of every key, by lane (SNAPSHOT.md). Little endian:
///
///     u64 magic, u32 version, u32 stage
///     blocks: u32 bytes, u32 CRC-32C of them, changes (wire/changes.h; all puts; a lane's rise by compare_places)
///     directory: u32 count, per lane { u32 lane, u32 blocks, u64 position of its first block }
///     u64 position of the directory, u32 CRC-32C of the directory, u32 version
std::string snapshot_file_name(std::uint64_t file);
/// The number in such a name, or nothing.
std::optional<std::uint64_t> snapshot_file_number(std::string_view name);

/// Reads a snapshot, block by block. Thread: one. Lifetime: the disk must outlive it.
class SnapshotReader {
 public:
  /// Errors: kCorrupt with the file's name (missing too), kIo.
  static Result<SnapshotReader> open(journal::Disk& disk, std::uint64_t file);

  /// Calls `visit` with the changes of each block of `lane`, in order. Stops at its error.
  Status read(std::uint32_t lane, const std::function<Status(BytesView)>& visit) const;
  /// Block by block instead: where the next one is.
  struct Place {
    std::uint32_t block = 0;
    std::uint64_t position = 0;  ///< in the file; 0 before the first
  };
  /// Reads the block at `place`, and moves that on. False where the lane has ended.
  Result<bool> next(std::uint32_t lane, Place& place, Bytes& block) const;
  [[nodiscard]] std::vector<std::uint32_t> lanes() const;

 private:
  struct Section {
    std::uint32_t blocks = 0;
    std::uint64_t position = 0;
  };
  std::string name_;
  std::unique_ptr<journal::File> file_;
  std::map<std::uint32_t, Section> sections_;
};

/// Writes a snapshot: lanes in rising order, within a lane entries rising by compare_places. Thread: one.
class SnapshotWriter {
 public:
  static Result<SnapshotWriter> create(journal::Disk& disk, std::uint64_t file, std::uint32_t stage);
  Status add(std::uint32_t lane, const wire::Change& change);
  /// Completes and syncs file and folder; returns the file's size.
  Result<std::uint64_t> finish();

 private:
  Status flush();
  struct Section {
    std::uint32_t lane = 0;
    std::uint32_t blocks = 0;
    std::uint64_t position = 0;
  };
  journal::Disk* disk_ = nullptr;
  std::unique_ptr<journal::File> file_;
  journal::Pace pace_;
  Bytes block_;
  std::uint64_t at_ = 0;
  std::vector<Section> sections_;
};

/// What a snapshot is made from.
struct SnapshotBefore {
  const SnapshotReader* reader = nullptr;  ///< null: none
  bool reset = false;                      ///< what it has in Space::kState counts no more
};
/// Merges one lane of `before` with the changes behind it (may be null) into `writer`.
Status merge_lane(const SnapshotBefore& before, std::uint32_t lane, const LaneTail* tail, SnapshotWriter& writer);

}  // namespace weir::server
