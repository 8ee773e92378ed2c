// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/segment_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace weir::journal {
namespace {

constexpr std::uint64_t kWindowBytes = 1 << 18;

FrameHeader to_frame(BytesView bytes) {
  FrameHeader header{};
  std::memcpy(&header, bytes.data(), sizeof(header));
  return header;
}

}  // namespace

Result<BytesView> Window::view(std::uint64_t offset, std::uint64_t size) {
  if (offset < start_ || offset + size > start_ + buffer_.size()) {
    const std::uint64_t file_bytes = file_.size();
    if (offset >= file_bytes) return BytesView();
    const std::uint64_t want = std::min(std::max(size, kWindowBytes), file_bytes - offset);
    buffer_.resize(static_cast<std::size_t>(want));
    start_ = offset;
    const auto got = file_.read(offset, buffer_);
    if (!got.ok()) {
      buffer_.clear();
      return got.error();
    }
    buffer_.resize(*got);
    bytes_read_ += *got;
  }
  const auto from = static_cast<std::size_t>(offset - start_);
  return BytesView(buffer_).subspan(from, std::min(static_cast<std::size_t>(size), buffer_.size() - from));
}

ChainReader::ChainReader(File& file, const SegmentHeader& header)
    : header_(header), window_(file), sequence_(header.sequence_first) {}

Result<std::optional<FrameHeader>> ChainReader::frame(std::uint32_t offset, bool first) {
  if (offset + sizeof(FrameHeader) > header_.segment_bytes) return std::optional<FrameHeader>();
  const auto bytes = window_.view(offset, sizeof(FrameHeader));
  if (!bytes.ok()) return bytes.error();
  if (bytes->size() < sizeof(FrameHeader)) return std::optional<FrameHeader>();
  const FrameHeader header = to_frame(*bytes);
  const FrameCheck check = check_header(header, header_.seed, offset);
  if (check == FrameCheck::kInvalid) return std::optional<FrameHeader>();
  const Reign reign(header.reign);
  const bool in_copy = offset < header_.copy_end;
  const bool in_line = header.sequence == sequence_.value() && (header.group_bytes != 0) == first &&
                       (first ? (in_copy ? reign <= header_.reign : reign == header_.reign) : reign == group_reign_);
  if (!in_line) return std::optional<FrameHeader>();
  const std::uint64_t end = offset + frame_bytes(header.payload_bytes);
  const std::uint64_t bound = first ? header_.segment_bytes : group_end_;
  if (end > bound || (first && (offset + header.group_bytes > bound || end > offset + header.group_bytes))) {
    return std::optional<FrameHeader>();
  }
  if (check == FrameCheck::kUnknown) {
    return {Code::kRefused, fmt::format("segment {}, byte {}: an entry of kind {}, which this program does not know: "
                                        "use the Weir that wrote it, or a newer one",
                                        header_.number, offset, header.kind)};
  }
  return std::optional<FrameHeader>(header);
}

Result<std::optional<StoredEntry>> ChainReader::take(const FrameHeader& header, std::uint32_t offset) {
  const auto payload = window_.view(offset + sizeof(FrameHeader), header.payload_bytes);
  if (!payload.ok()) return payload.error();
  if (!check_payload(header, header_.seed, offset, *payload)) return std::optional<StoredEntry>();
  return std::optional<StoredEntry>(
      StoredEntry{sequence_, offset, static_cast<EntryKind>(static_cast<std::uint8_t>(header.kind)), *payload});
}

Result<std::optional<StoredEntry>> ChainReader::next() {
  while (!ended_) {
    const bool inside = at_ < group_end_;
    const std::uint32_t offset = inside ? at_ : block_up(at_);
    const auto header = frame(offset, !inside);
    if (!header.ok()) return header.error();
    std::optional<StoredEntry> entry;
    if (*header) {
      auto taken = take(**header, offset);
      if (!taken.ok()) return taken.error();
      entry = *taken;
      if (!inside) {
        group_end_ = offset + (*header)->group_bytes;
        group_reign_ = Reign((*header)->reign);
      }
    }
    if (entry) {
      torn_group_end_ = 0;
      at_ = offset + static_cast<std::uint32_t>(frame_bytes((*header)->payload_bytes));
      const auto kind = static_cast<FrameKind>((*header)->kind);
      if (kind == FrameKind::kMark || kind == FrameKind::kOpening) continue;
      content_end_ = at_;
      ++sequence_;
      return entry;
    }
    if (inside) {
      // The group's rest is missing. A start copies what was whole of it, so the history may go on in the next block;
      // where it does not, this is where the run ended.
      if (at_ >= header_.copy_end) torn_group_end_ = group_end_;
      group_end_ = 0;
      const std::uint32_t failed = at_;
      const auto follows = frame(block_up(at_), true);
      if (!follows.ok()) return follows.error();
      if (*follows) {
        at_ = block_up(at_);
        continue;
      }
      at_ = failed;
    } else {
      at_ = offset;
      if (*header) torn_group_end_ = offset + (*header)->group_bytes;  // its payload did not come
    }
    ended_ = true;
  }
  return std::optional<StoredEntry>();
}

Status scan_groups(Window& window, std::uint64_t seed, std::uint64_t from, std::uint64_t file_bytes,
                   const std::function<Status(const FrameHeader&, std::uint32_t)>& found) {
  for (std::uint64_t at = from; at + sizeof(FrameHeader) <= file_bytes; at += kBlockBytes) {
    const auto bytes = window.view(at, sizeof(FrameHeader));
    if (!bytes.ok()) return bytes.error();
    if (bytes->size() < sizeof(FrameHeader)) break;
    const FrameHeader header = to_frame(*bytes);
    if (check_header(header, seed, at) == FrameCheck::kInvalid || header.group_bytes == 0) continue;
    if (Status status = found(header, static_cast<std::uint32_t>(at)); !status.ok()) return status;
  }
  return {};
}

Result<std::optional<LoneOpening>> find_opening_without_seed(Window& window, std::uint64_t file_bytes) {
  constexpr std::uint64_t kBytes = sizeof(FrameHeader) + sizeof(std::uint64_t);
  for (std::uint64_t at = kBlockBytes; at + kBytes <= file_bytes; at += kBlockBytes) {
    const auto bytes = window.view(at, kBytes);
    if (!bytes.ok()) return bytes.error();
    if (bytes->size() < kBytes) break;
    const FrameHeader header = to_frame(*bytes);
    std::uint64_t seed = 0;
    std::memcpy(&seed, bytes->data() + sizeof(FrameHeader), sizeof(seed));
    if (check_header(header, seed, at) == FrameCheck::kValid &&
        header.kind == static_cast<std::uint16_t>(FrameKind::kOpening)) {
      return std::optional<LoneOpening>(LoneOpening{header, seed});
    }
  }
  return std::optional<LoneOpening>();
}

}  // namespace weir::journal
