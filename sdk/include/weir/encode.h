// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "weir/value.h"

namespace weir {

/// Appends `tag` and the `size` low bytes of `number`, the most significant first.
inline void encode_tagged(std::string& out, unsigned tag, std::uint64_t number, std::size_t size) {
  // Not by way of one array: to read across two writes of other sizes has to wait for both.
  out.push_back(static_cast<char>(tag));
  if constexpr (std::endian::native == std::endian::little) number = __builtin_bswap64(number);
  out.append(reinterpret_cast<const char*>(&number) + sizeof(number) - size, size);
}

inline void encode_nil(std::string& out) { out.push_back('\xc0'); }

inline void encode_natural(std::string& out, std::uint64_t number) {
  if (number < 0x80) return out.push_back(static_cast<char>(number));
  if (number <= 0xff) return encode_tagged(out, 0xcc, number, 1);
  if (number <= 0xffff) return encode_tagged(out, 0xcd, number, 2);
  if (number <= 0xffffffff) return encode_tagged(out, 0xce, number, 4);
  encode_tagged(out, 0xcf, number, 8);
}

inline void encode_integer(std::string& out, std::int64_t number) {
  const auto bits = static_cast<std::uint64_t>(number);
  if (number >= 0) return encode_natural(out, bits);
  if (number >= -32) return out.push_back(static_cast<char>(number));
  if (number >= INT8_MIN) return encode_tagged(out, 0xd0, bits, 1);
  if (number >= INT16_MIN) return encode_tagged(out, 0xd1, bits, 2);
  if (number >= INT32_MIN) return encode_tagged(out, 0xd2, bits, 4);
  encode_tagged(out, 0xd3, bits, 8);
}

inline void encode_real(std::string& out, double number) {
  encode_tagged(out, 0xcb, std::bit_cast<std::uint64_t>(number), 8);
}

inline void encode_text(std::string& out, std::string_view text) {
  const std::size_t size = text.size();
  if (size < 32) {
    out.push_back(static_cast<char>(0xa0 | size));
  } else if (size <= 0xff) {
    encode_tagged(out, 0xd9, size, 1);
  } else if (size <= 0xffff) {
    encode_tagged(out, 0xda, size, 2);
  } else {
    encode_tagged(out, 0xdb, size, 4);
  }
  out.append(text);
}

inline void encode_binary(std::string& out, std::string_view bytes) {
  const std::size_t size = bytes.size();
  if (size <= 0xff) {
    encode_tagged(out, 0xc4, size, 1);
  } else if (size <= 0xffff) {
    encode_tagged(out, 0xc5, size, 2);
  } else {
    encode_tagged(out, 0xc6, size, 4);
  }
  out.append(bytes);
}

/// The head of an array: `count` values follow.
inline void encode_array_head(std::string& out, std::uint32_t count) {
  if (count < 16) return out.push_back(static_cast<char>(0x90 | count));
  if (count <= 0xffff) return encode_tagged(out, 0xdc, count, 2);
  encode_tagged(out, 0xdd, count, 4);
}

/// The head of a map: `count` pairs of values follow.
inline void encode_map_head(std::string& out, std::uint32_t count) {
  if (count < 16) return out.push_back(static_cast<char>(0x80 | count));
  if (count <= 0xffff) return encode_tagged(out, 0xde, count, 2);
  encode_tagged(out, 0xdf, count, 4);
}

/// Appends `value` as one MessagePack value, in its shortest form where Weir writes it itself: integers, bool, float,
/// strings, BytesView, nullptr (nil) and ValueView (its bytes as they are). Everything else goes through msgpack-c.
template <typename T>
void encode(std::string& out, const T& value) {
  if constexpr (std::same_as<T, ValueView>) {
    const BytesView bytes = value.bytes();
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  } else if constexpr (std::is_null_pointer_v<T>) {
    encode_nil(out);
  } else if constexpr (std::same_as<T, bool>) {
    out.push_back(value ? '\xc3' : '\xc2');
  } else if constexpr (std::unsigned_integral<T>) {
    encode_natural(out, value);
  } else if constexpr (std::signed_integral<T>) {
    encode_integer(out, value);
  } else if constexpr (std::same_as<T, float>) {
    encode_tagged(out, 0xca, std::bit_cast<std::uint32_t>(value), 4);
  } else if constexpr (std::same_as<T, double>) {
    encode_real(out, value);
  } else if constexpr (std::convertible_to<const T&, std::string_view>) {
    encode_text(out, value);
  } else if constexpr (std::same_as<T, BytesView>) {
    encode_binary(out, {reinterpret_cast<const char*>(value.data()), value.size()});
  } else {
    struct Appender {
      std::string& out;
      void write(const char* bytes, std::size_t size) {
        // msgpack-c writes a number as a byte, its tag, and the rest: to read across both has to wait for the writes.
        if (size == 0) return;
        out.push_back(*bytes);
        out.append(bytes + 1, size - 1);
      }
    } appender{out};
    msgpack::pack(appender, value);
  }
}

}  // namespace weir
