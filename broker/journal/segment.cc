// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/segment.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstddef>
#include <cstring>

namespace weir::journal {
namespace {

static_assert(std::endian::native == std::endian::little,
              "the structs of the format are written as they lie in memory");

constexpr char kMagic[8] = {'W', 'E', 'I', 'R', 'S', 'E', 'G', '\n'};
constexpr std::string_view kPrefix = "segment-";

std::uint32_t block_crc(Bytes block) {
  std::memset(block.data() + offsetof(SegmentHeaderWire, crc), 0, sizeof(std::uint32_t));
  return crc32c(0, block);
}

bool sound(const SegmentHeaderWire& wire) {
  return wire.number != 0 && wire.reign != 0 && wire.opening <= 1 && wire.copy_end >= kBlockBytes &&
         wire.copy_end % kBlockBytes == 0 && wire.segment_bytes % kBlockBytes == 0 &&
         wire.copy_end + kOpeningBytes <= wire.segment_bytes && wire.sequence_first <= wire.sequence_end_last;
}

}  // namespace

Bytes encode(const SegmentHeader& header) {
  SegmentHeaderWire wire{};
  std::memcpy(wire.magic, kMagic, sizeof(kMagic));
  wire.version = header.sized ? kFormatVersion : kFormatVersionMin;
  wire.seed = header.seed;
  wire.number = header.number;
  wire.segment_bytes = header.segment_bytes;
  wire.sequence_first = header.sequence_first.value();
  wire.sequence_end_last = header.sequence_end_last.value();
  wire.mark = header.mark.value();
  wire.reign = header.reign.value();
  wire.reign_predecessor = header.reign_predecessor.value();
  wire.copy_end = header.copy_end;
  wire.opening = header.opening ? 1 : 0;
  wire.checkpoint_newest = to_wire(header.checkpoint_newest);
  wire.checkpoint_before = to_wire(header.checkpoint_before);
  WEIR_CHECK(sound(wire), "a header that no reader would take");
  Bytes block(kBlockBytes);
  std::memcpy(block.data(), &wire, sizeof(wire));
  const std::uint32_t crc = block_crc(block);
  std::memcpy(block.data() + offsetof(SegmentHeaderWire, crc), &crc, sizeof(crc));
  return block;
}

Result<HeaderState> decode(BytesView block, SegmentHeader& header) {
  if (std::all_of(block.begin(), block.end(), [](std::byte b) { return b == std::byte{0}; })) {
    return HeaderState::kBlank;
  }
  if (block.size() != kBlockBytes) return HeaderState::kUnreadable;
  SegmentHeaderWire wire{};
  std::memcpy(&wire, block.data(), sizeof(wire));
  if (std::memcmp(wire.magic, kMagic, sizeof(kMagic)) != 0) return HeaderState::kUnreadable;
  if (block_crc(Bytes(block.begin(), block.end())) != wire.crc) return HeaderState::kUnreadable;
  if (wire.version < kFormatVersionMin || wire.version > kFormatVersion) {
    return {Code::kRefused, fmt::format("the journal has format {}, this program reads formats {} to {}: use the Weir "
                                        "that wrote it, or a newer one",
                                        wire.version, kFormatVersionMin, kFormatVersion)};
  }
  if (!sound(wire))
    return {Code::kRefused, "a segment's header is whole but makes no sense: written by another program"};
  header.seed = wire.seed;
  header.number = wire.number;
  header.segment_bytes = wire.segment_bytes;
  header.sequence_first = Sequence(wire.sequence_first);
  header.sequence_end_last = Sequence(wire.sequence_end_last);
  header.mark = Sequence(wire.mark);
  header.reign = Reign(wire.reign);
  header.reign_predecessor = Reign(wire.reign_predecessor);
  header.copy_end = wire.copy_end;
  header.opening = wire.opening != 0;
  header.sized = wire.version > kFormatVersionMin;
  header.checkpoint_newest = from_wire(wire.checkpoint_newest);
  header.checkpoint_before = from_wire(wire.checkpoint_before);
  return HeaderState::kValid;
}

std::string segment_file_name(std::uint64_t file_number) { return fmt::format("{}{:06}", kPrefix, file_number); }

std::optional<std::uint64_t> segment_file_number(std::string_view name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

}  // namespace weir::journal
