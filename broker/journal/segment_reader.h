// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "broker/journal/disk.h"
#include "broker/journal/frame.h"
#include "broker/journal/segment.h"

namespace weir::journal {

/// Reads one file through a window, so that memory is bounded by the window or by one entry, whichever is larger.
/// Lifetime: `file` must outlive it.
class Window {
 public:
  explicit Window(File& file) : file_(file) {}
  /// `size` bytes at `offset`, valid until the next call; fewer at the end of the file.
  Result<BytesView> view(std::uint64_t offset, std::uint64_t size);
  [[nodiscard]] std::uint64_t bytes_read() const { return bytes_read_; }

 private:
  File& file_;
  Bytes buffer_;
  std::uint64_t start_ = 0;
  std::uint64_t bytes_read_ = 0;
};

/// One entry as it lies in a segment; `payload` is valid until the next read.
struct StoredEntry {
  Sequence sequence;
  std::uint32_t offset = 0;
  EntryKind kind = EntryKind::kRecord;
  BytesView payload;
};

/// Walks the valid run of a segment from its first entry: sequences without gaps; inside the copy any reign up to the
/// header's, behind it only the header's own (FORMAT.md, traps F2 and F10).
class ChainReader {
 public:
  ChainReader(File& file, const SegmentHeader& header);

  /// The next entry, or nothing where the run ends. Errors: kIo; kRefused for a kind of a newer Weir.
  Result<std::optional<StoredEntry>> next();

  /// Of the entry that comes next: behind the last one once next() has given nothing.
  [[nodiscard]] Sequence sequence() const { return sequence_; }
  /// Byte behind the last entry given (not behind marks), padding included.
  [[nodiscard]] std::uint32_t content_end() const { return content_end_; }
  /// The first byte that fails, once next() has given nothing: a block, or a place inside a group.
  [[nodiscard]] std::uint32_t end_offset() const { return at_; }
  /// The run ended inside what a group's first frame says it holds; the byte behind that group, else 0.
  [[nodiscard]] std::uint32_t torn_group_end() const { return torn_group_end_; }
  [[nodiscard]] std::uint64_t bytes_read() const { return window_.bytes_read(); }

 private:
  /// A valid frame at `offset` that is next in line, or nothing.
  Result<std::optional<FrameHeader>> frame(std::uint32_t offset, bool first);
  Result<std::optional<StoredEntry>> take(const FrameHeader& header, std::uint32_t offset);

  const SegmentHeader header_;
  Window window_;
  Sequence sequence_;
  std::uint32_t at_ = kBlockBytes;
  std::uint32_t group_end_ = 0;
  Reign group_reign_;
  std::uint32_t content_end_ = kBlockBytes;
  std::uint32_t torn_group_end_ = 0;
  bool ended_ = false;
};

/// Calls `found` for each group whose first frame's header is whole, at every block of [from, end of file), whatever
/// lies between. Errors: kIo, and what `found` returns.
Status scan_groups(Window& window, std::uint64_t seed, std::uint64_t from, std::uint64_t file_bytes,
                   const std::function<Status(const FrameHeader&, std::uint32_t offset)>& found);

/// For a file of which no header anywhere tells the seed: the opening mark in it, judged by the seed that it carries.
struct LoneOpening {
  FrameHeader frame;
  std::uint64_t seed = 0;
};
Result<std::optional<LoneOpening>> find_opening_without_seed(Window& window, std::uint64_t file_bytes);

}  // namespace weir::journal
