// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "broker/journal/disk.h"

namespace weir::journal {

/// A directory of a POSIX file system. Thread: [any thread].
class PosixDisk final : public Disk {
 public:
  /// Opens `directory`, made (with its parents, durably) where it is missing. Errors: kIo, kDiskFull.
  static Result<std::unique_ptr<PosixDisk>> open(const std::string& directory);
  ~PosixDisk() override;
  PosixDisk(const PosixDisk&) = delete;
  PosixDisk& operator=(const PosixDisk&) = delete;

  Result<std::unique_ptr<File>> open(std::string_view name) override;
  Result<std::unique_ptr<File>> create(std::string_view name, std::uint64_t bytes) override;
  Status remove(std::string_view name) override;
  Status rename(std::string_view from, std::string_view to) override;
  Result<std::vector<std::string>> list() override;
  Status sync_directory() override;
  std::uint64_t free_bytes() override;
  [[nodiscard]] std::string name() const override { return directory_; }

 private:
  PosixDisk(std::string directory, int descriptor) : directory_(std::move(directory)), descriptor_(descriptor) {}

  std::string directory_;
  int descriptor_;
};

}  // namespace weir::journal
