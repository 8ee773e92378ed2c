// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/head.h"

#include <bit>

namespace weir::wire {
namespace {

template <typename T>
T big_endian(BytesView bytes, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
  return static_cast<T>(value);
}

}  // namespace

std::optional<Head> read_head(BytesView bytes) {
  using Kind = Head::Kind;
  if (bytes.empty()) return std::nullopt;
  const auto tag = static_cast<std::uint8_t>(bytes[0]);
  const auto needs = [&](std::size_t more) { return bytes.size() > more; };
  const auto length = [&](Kind kind, std::size_t width) -> std::optional<Head> {
    if (!needs(width)) return std::nullopt;
    const std::uint64_t count = width == 1   ? big_endian<std::uint8_t>(bytes, 1)
                                : width == 2 ? big_endian<std::uint16_t>(bytes, 1)
                                : width == 4 ? big_endian<std::uint32_t>(bytes, 1)
                                             : big_endian<std::uint64_t>(bytes, 1);
    return Head{kind, 1 + width, count};
  };
  const auto integer = [&](std::size_t width) -> std::optional<Head> {
    if (!needs(width)) return std::nullopt;
    const std::int64_t value = width == 1   ? big_endian<std::int8_t>(bytes, 1)
                               : width == 2 ? big_endian<std::int16_t>(bytes, 1)
                               : width == 4 ? big_endian<std::int32_t>(bytes, 1)
                                            : big_endian<std::int64_t>(bytes, 1);
    if (value >= 0) return Head{Kind::kUnsigned, 1 + width, static_cast<std::uint64_t>(value)};
    return Head{Kind::kNegative, 1 + width, 0, value};
  };
  if (tag < 0x80) return Head{Kind::kUnsigned, 1, tag};
  if (tag < 0x90) return Head{Kind::kMap, 1, tag & 0x0fU};
  if (tag < 0xa0) return Head{Kind::kArray, 1, tag & 0x0fU};
  if (tag < 0xc0) return Head{Kind::kText, 1, tag & 0x1fU};
  if (tag >= 0xe0) return Head{Kind::kNegative, 1, 0, static_cast<std::int8_t>(tag)};
  switch (tag) {
    case 0xc0:
      return Head{};
    case 0xc2:
    case 0xc3:
      return Head{Kind::kBoolean, 1, static_cast<std::uint64_t>(tag & 1)};
    case 0xc4:
      return length(Kind::kBinary, 1);
    case 0xc5:
      return length(Kind::kBinary, 2);
    case 0xc6:
      return length(Kind::kBinary, 4);
    case 0xc7:
    case 0xc8:
    case 0xc9: {
      auto head = length(Kind::kExtension, std::size_t{1} << (tag - 0xc7));
      // The type's byte belongs to the head, and may be missing.
      if (!head || !needs(head->size)) return std::nullopt;
      head->size += 1;
      return head;
    }
    case 0xca:
      if (!needs(4)) return std::nullopt;
      return Head{Kind::kFloat, 5, 0, 0, std::bit_cast<float>(big_endian<std::uint32_t>(bytes, 1))};
    case 0xcb:
      if (!needs(8)) return std::nullopt;
      return Head{Kind::kFloat, 9, 0, 0, std::bit_cast<double>(big_endian<std::uint64_t>(bytes, 1))};
    case 0xcc:
      return length(Kind::kUnsigned, 1);
    case 0xcd:
      return length(Kind::kUnsigned, 2);
    case 0xce:
      return length(Kind::kUnsigned, 4);
    case 0xcf:
      return length(Kind::kUnsigned, 8);
    case 0xd0:
      return integer(1);
    case 0xd1:
      return integer(2);
    case 0xd2:
      return integer(4);
    case 0xd3:
      return integer(8);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
      return Head{Kind::kExtension, 2, std::uint64_t{1} << (tag - 0xd4)};
    case 0xd9:
      return length(Kind::kText, 1);
    case 0xda:
      return length(Kind::kText, 2);
    case 0xdb:
      return length(Kind::kText, 4);
    case 0xdc:
      return length(Kind::kArray, 2);
    case 0xdd:
      return length(Kind::kArray, 4);
    case 0xde:
      return length(Kind::kMap, 2);
    case 0xdf:
      return length(Kind::kMap, 4);
    default:
      return std::nullopt;
  }
}

}  // namespace weir::wire
