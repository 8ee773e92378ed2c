// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "stages/file/descriptor.h"

namespace weir::file {

/// A file that grows at its end and can be cut back to what was committed. Locked as long as it is open, against other
/// processes too (an open file description lock, fcntl(2)). Something that is no regular file, as /dev/null, is only
/// written to. Errors of all calls: Fatal, naming the path; TargetBusy where another has it open.
class OutputFile {
 public:
  /// Makes the file, with the folders above it, or empties it where it is.
  static OutputFile replace(const std::string& path);
  /// Goes on behind byte `committed` and cuts off what follows. Errors: the file is gone, or shorter.
  static OutputFile go_on(const std::string& path, std::uint64_t committed);

  /// Where to append; written out by write_out and sync.
  [[nodiscard]] std::string& buffer() { return buffer_; }
  /// Writes the buffer once it is large.
  void write_out_if_large() {
    if (buffer_.size() >= kBufferBytes) write_out();
  }
  /// Returns when everything is on disk, and the file's name in its folder with it.
  void sync();

  /// Bytes, those in the buffer included.
  [[nodiscard]] std::uint64_t length() const { return written_ + buffer_.size(); }

 private:
  static constexpr std::size_t kBufferBytes = 256 << 10;

  OutputFile(std::string path, int flags);
  void lock();
  void write_out();

  std::string path_;
  Descriptor descriptor_;
  bool regular_ = false;
  bool folders_synced_ = false;
  std::string buffer_;
  std::uint64_t written_ = 0;
};

}  // namespace weir::file
