// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/remains.h"

#include <algorithm>
#include <cstring>

namespace weir::journal {

Remains::Remains(File& file, const SegmentHeader& header)
    : header_(header), window_(file), sequence_(header.sequence_first), passed_(header.sequence_first) {}

bool Remains::fits(const FrameHeader& header, std::uint32_t offset) const {
  const Reign reign(header.reign);
  const bool reign_fits = offset < header_.copy_end ? reign <= header_.reign : reign == header_.reign;
  // A group starts on a block; a frame within one may lie on a block by chance.
  const bool on_block = offset % kBlockBytes == 0;
  const bool place_fits = header.group_bytes != 0 ? on_block : !on_block || offset < group_end_;
  return header.reign != 0 && reign_fits && place_fits && header.sequence >= passed_.value() &&
         offset + frame_bytes(header.payload_bytes) <= header_.segment_bytes;
}

Result<std::optional<FrameHeader>> Remains::frame(std::uint32_t offset) {
  const auto bytes = window_.view(offset, sizeof(FrameHeader));
  if (!bytes.ok()) return bytes.error();
  if (bytes->size() < sizeof(FrameHeader)) return std::optional<FrameHeader>();
  FrameHeader header{};
  std::memcpy(&header, bytes->data(), sizeof(header));
  // The cheap question first: behind damage every multiple of 8 is asked for.
  if (!fits(header, offset) || check_header(header, header_.seed, offset) != FrameCheck::kValid) {
    return std::optional<FrameHeader>();
  }
  return std::optional<FrameHeader>(header);
}

Result<std::optional<Remains::Entry>> Remains::next() {
  while (at_ + sizeof(FrameHeader) <= header_.segment_bytes) {
    const auto found = frame(at_);
    if (!found.ok()) return found.error();
    if (*found) {
      const FrameHeader& header = **found;
      const std::uint32_t offset = at_;
      const auto end = static_cast<std::uint32_t>(offset + frame_bytes(header.payload_bytes));
      if (header.group_bytes != 0) group_end_ = offset + header.group_bytes;
      at_ = end < group_end_ ? end : block_up(end);
      const auto payload = window_.view(offset + sizeof(header), header.payload_bytes);
      if (!payload.ok()) return payload.error();
      const bool whole = check_payload(header, header_.seed, offset, *payload);
      Entry entry{header, offset, whole ? *payload : BytesView(), sequence_, broken_at_.value_or(offset)};
      if (entry.is_mark()) {
        if (!whole) continue;
        entry.lost_from = Sequence(header.sequence);  // what is lost before it shows at the next entry
        return std::optional<Entry>(entry);
      }
      passed_ = Sequence(header.sequence + 1);
      if (!whole) {
        // Its header tells where the next one stands.
        if (!broken_at_) broken_at_ = offset;
        continue;
      }
      sequence_ = passed_;
      content_end_ = end;
      broken_at_.reset();
      return std::optional<Entry>(entry);
    }
    if (!broken_at_) broken_at_ = at_;
    // Within a group the next frame stands at a multiple of 8 that cannot be known; a group at a block. The rest of a
    // block is looked through too where its first frame is broken.
    at_ += kFrameAlign;
  }
  return std::optional<Entry>();
}

}  // namespace weir::journal
