// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/frame.h"

#include <cstring>

#include "broker/journal/segment.h"

namespace weir::journal {
namespace {

std::uint32_t header_crc(const FrameHeader& header, std::uint32_t start) {
  const BytesView bytes = std::as_bytes(std::span(&header, 1));
  return crc32c(start, bytes.subspan(sizeof(header.header_crc)));
}

void put_frame(Bytes& block, std::size_t at, FrameHeader header, std::uint64_t seed, std::uint64_t offset,
               BytesView payload) {
  seal(header, seed, offset, std::span(&payload, 1));
  std::memcpy(block.data() + at, &header, sizeof(header));
  if (!payload.empty()) std::memcpy(block.data() + at + sizeof(header), payload.data(), payload.size());
}

}  // namespace

std::uint32_t crc_start(std::uint64_t seed, std::uint64_t offset) {
  const std::uint64_t words[2] = {seed, offset};
  return crc32c(0, std::as_bytes(std::span(words)));
}

void seal(FrameHeader& header, std::uint64_t seed, std::uint64_t offset, std::span<const BytesView> payload) {
  const std::uint32_t start = crc_start(seed, offset);
  std::uint32_t crc = start;
  for (const BytesView part : payload) crc = crc32c(crc, part);
  header.payload_crc = crc;
  header.header_crc = header_crc(header, start);
}

FrameCheck check_header(const FrameHeader& header, std::uint64_t seed, std::uint64_t offset) {
  // No reign is 0: what is zero, the commonest case, is told without a CRC.
  if (header.reign == 0 || header_crc(header, crc_start(seed, offset)) != header.header_crc) {
    return FrameCheck::kInvalid;
  }
  const bool known = header.kind >= static_cast<std::uint16_t>(FrameKind::kRecord) &&
                     header.kind <= static_cast<std::uint16_t>(FrameKind::kOpening) && header.reserved == 0;
  return known ? FrameCheck::kValid : FrameCheck::kUnknown;
}

bool check_payload(const FrameHeader& header, std::uint64_t seed, std::uint64_t offset, BytesView payload) {
  return payload.size() == header.payload_bytes && crc32c(crc_start(seed, offset), payload) == header.payload_crc;
}

Bytes encode_opening_marks(std::uint64_t seed, Reign reign, Sequence end, std::uint64_t offset) {
  Bytes blocks(kOpeningBytes);
  for (std::uint32_t at = 0; at < kOpeningBytes; at += kBlockBytes) {
    FrameHeader header{};
    header.payload_bytes = sizeof(seed);
    header.group_bytes = static_cast<std::uint32_t>(frame_bytes(sizeof(seed)));
    header.sequence = end.value();
    header.mark = end.value();
    header.reign = reign.value();
    header.kind = static_cast<std::uint16_t>(FrameKind::kOpening);
    put_frame(blocks, at, header, seed, offset + at, std::as_bytes(std::span(&seed, 1)));
  }
  return blocks;
}

Bytes encode_mark(std::uint64_t seed, Reign reign, Sequence next, Sequence mark, std::uint64_t offset) {
  Bytes block(kBlockBytes);
  FrameHeader header{};
  header.group_bytes = static_cast<std::uint32_t>(frame_bytes(0));
  header.sequence = next.value();
  header.mark = mark.value();
  header.reign = reign.value();
  header.kind = static_cast<std::uint16_t>(FrameKind::kMark);
  put_frame(block, 0, header, seed, offset, {});
  return block;
}

}  // namespace weir::journal
