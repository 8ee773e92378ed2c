// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "broker/journal/direct_writer.h"
#include "broker/journal/disk.h"

namespace weir::journal {

/// A directory of a POSIX file system. Thread: [any thread].
class PosixDisk final : public Disk {
 public:
  /// Opens `directory`, made (with its parents, durably) where it is missing. Errors: kIo, kDiskFull.
  static Result<std::unique_ptr<PosixDisk>> open(const std::string& directory);
  /// `directory` as it is, to be looked at: its files are opened for reading only. Errors: kNotFound, kIo.
  static Result<std::unique_ptr<PosixDisk>> open_read_only(const std::string& directory);
  ~PosixDisk() override;
  PosixDisk(const PosixDisk&) = delete;
  PosixDisk& operator=(const PosixDisk&) = delete;

  Result<std::unique_ptr<File>> open(std::string_view name) override;
  Result<std::unique_ptr<File>> create(std::string_view name, std::uint64_t bytes) override;
  Result<std::unique_ptr<File>> create_beside(std::string_view name, std::uint64_t bytes,
                                              const Pieces& pieces) override;
  Status remove(std::string_view name) override;
  Status rename(std::string_view from, std::string_view to) override;
  Result<std::vector<std::string>> list() override;
  Status sync_directory() override;
  std::uint64_t free_bytes() override;
  [[nodiscard]] std::string name() const override { return directory_; }

 private:
  PosixDisk(std::string directory, int descriptor, bool read_only)
      : directory_(std::move(directory)), descriptor_(descriptor), read_only_(read_only) {}

  std::string directory_;
  int descriptor_;
  bool read_only_;
  DirectWriter direct_;
};

}  // namespace weir::journal
