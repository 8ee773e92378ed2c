// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "stages/file/descriptor.h"

namespace weir::file {

/// Decompresses what a file holds; see input_file.cc.
class Inflater;

/// A file read from its start to its end as plain bytes; gzip is recognised by its first two bytes and decompressed,
/// member after member. Offsets are those of the plain bytes. Errors of all calls: Fatal, naming the path.
class InputFile {
 public:
  explicit InputFile(std::string path);
  InputFile(InputFile&&) noexcept;
  InputFile& operator=(InputFile&&) noexcept;
  ~InputFile();

  /// Up to `size` bytes; 0 at the end, which may move while somebody appends.
  std::size_t read(char* to, std::size_t size);

  /// Goes to `offset`: at once, or by decompressing up to it, which takes its time.
  void seek(std::uint64_t offset);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool is_gzip() const { return inflater_ != nullptr; }
  /// Where the next read begins.
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  [[nodiscard]] std::uint64_t inode() const { return inode_; }
  /// Bytes on disk now.
  [[nodiscard]] std::uint64_t size() const;
  /// When it was last written to, renamed or changed otherwise, in microseconds since 1970.
  [[nodiscard]] std::int64_t changed_at() const;

 private:
  std::string path_;
  Descriptor descriptor_;
  std::unique_ptr<Inflater> inflater_;
  std::uint64_t inode_ = 0;
  std::uint64_t offset_ = 0;
};

}  // namespace weir::file
