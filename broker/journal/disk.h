// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sdk/base/bytes.h"
#include "sdk/base/result.h"

namespace weir::journal {

/// One open file. Thread: [any thread], but two writes that overlap need an order of the caller's making.
class File {
 public:
  virtual ~File() = default;

  /// Writes `parts`, one behind the other, at `offset`; grows the file where needed. Not durable before sync().
  /// Errors: kDiskFull (a part may have been written), kIo.
  virtual Status write(std::uint64_t offset, std::span<const BytesView> parts) = 0;

  /// The same for much that a sync() follows and nobody is about to read: past the page cache where the file system has
  /// such a way, which saves the copy into it. Takes as long as the disk; is no more durable than write().
  virtual Status write_past_cache(std::uint64_t offset, std::span<const BytesView> parts) = 0;

  /// Makes all that was written durable (fdatasync). After an error nothing may be assumed about any unsynced write,
  /// and a second sync() proves nothing. Errors: kIo.
  virtual Status sync() = 0;

  /// Reads up to `into.size()` bytes at `offset`; fewer only at the end of the file. Errors: kIo.
  virtual Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) = 0;

  [[nodiscard]] virtual std::uint64_t size() const = 0;
};

/// The journal's door to the file system: the files of one directory. The real one is PosixDisk; tests and the
/// simulation pass their own. Thread: [any thread]. Lifetime: outlives its files.
class Disk {
 public:
  virtual ~Disk() = default;

  /// An existing file, for reading and writing. Errors: kNotFound, kIo.
  virtual Result<std::unique_ptr<File>> open(std::string_view name) = 0;

  /// A new file, or an old one emptied. `bytes` > 0: written full with zeros and synced before this returns.
  /// Errors: kDiskFull (nothing is left behind), kIo.
  virtual Result<std::unique_ptr<File>> create(std::string_view name, std::uint64_t bytes) = 0;

  /// Says before each piece of what is written how long it may be, at most: a multiple of 4 KiB. May wait first.
  using Pieces = std::function<std::uint64_t()>;
  /// The same in such pieces: who syncs meanwhile waits for one of them.
  virtual Result<std::unique_ptr<File>> create_beside(std::string_view name, std::uint64_t bytes,
                                                      const Pieces& pieces) = 0;

  virtual Status remove(std::string_view name) = 0;
  /// Replaces `to` if it exists.
  virtual Status rename(std::string_view from, std::string_view to) = 0;
  /// Names of all files, sorted.
  virtual Result<std::vector<std::string>> list() = 0;
  /// Makes creations, removals and renamings durable. Errors: kIo.
  virtual Status sync_directory() = 0;
  /// What the file system says is free; the largest number where it cannot say.
  virtual std::uint64_t free_bytes() = 0;
  /// How a person knows the directory, for error sentences.
  [[nodiscard]] virtual std::string name() const = 0;
};

}  // namespace weir::journal
