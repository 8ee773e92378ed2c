// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace weir {

/// Bytes that somebody else owns.
using BytesView = std::span<const std::byte>;

/// Microseconds since 1970-01-01T00:00:00Z, event time.
using Timestamp = std::int64_t;

/// One step of a MessagePack value (https://github.com/msgpack/msgpack/blob/master/spec.md): a plain value, or the head
/// of an array or map whose elements follow as tokens of their own. A value; what it views belongs to the bytes read.
struct Token {
  enum class Kind : std::uint8_t { kNil, kBool, kNatural, kNegative, kReal, kText, kBinary, kArray, kMap, kExtension };

  Kind kind = Kind::kNil;
  bool boolean = false;
  std::int8_t extension = 0;  ///< kExtension: its type
  std::uint32_t count = 0;    ///< kArray: elements, kMap: pairs
  std::uint64_t natural = 0;  ///< kNatural: zero and above
  std::int64_t negative = 0;  ///< kNegative: below zero
  double real = 0;            ///< kReal
  std::string_view text;      ///< kText, kBinary, kExtension

  [[nodiscard]] bool is_integer() const { return kind == Kind::kNatural || kind == Kind::kNegative; }
  [[nodiscard]] bool is_number() const { return is_integer() || kind == Kind::kReal; }
  /// An integer that fits 64 bits with a sign. REQUIRES: is_integer().
  [[nodiscard]] bool fits_signed() const { return kind == Kind::kNegative || natural <= INT64_MAX; }
  /// REQUIRES: is_integer() and fits_signed().
  [[nodiscard]] std::int64_t as_signed() const {
    return kind == Kind::kNegative ? negative : static_cast<std::int64_t>(natural);
  }
  /// REQUIRES: is_number().
  [[nodiscard]] double as_real() const {
    if (kind == Kind::kReal) return real;
    return kind == Kind::kNatural ? static_cast<double>(natural) : static_cast<double>(negative);
  }
};

/// Walks MessagePack bytes token by token and never reads outside them, whoever wrote them.
class TokenReader {
 public:
  explicit TokenReader(BytesView bytes)
      : at_(reinterpret_cast<const unsigned char*>(bytes.data())), end_(at_ + bytes.size()) {}

  [[nodiscard]] bool at_end() const { return at_ == end_; }
  /// Where the next token begins.
  [[nodiscard]] const std::byte* position() const { return reinterpret_cast<const std::byte*>(at_); }

  /// The next token; false at the end and where the bytes are no MessagePack.
  bool next(Token& token) {
    using Kind = Token::Kind;
    if (at_ == end_) return false;
    const unsigned tag = *at_++;
    if (tag < 0x80) return natural(token, tag);
    if (tag >= 0xe0) return negative(token, static_cast<std::int8_t>(tag));
    if (tag < 0x90) return head(token, Kind::kMap, tag & 0x0f);
    if (tag < 0xa0) return head(token, Kind::kArray, tag & 0x0f);
    if (tag < 0xc0) return bytes(token, Kind::kText, tag & 0x1f);
    switch (tag) {
      case 0xc0:
        token.kind = Kind::kNil;
        return true;
      case 0xc2:
      case 0xc3:
        token.kind = Kind::kBool;
        token.boolean = tag == 0xc3;
        return true;
      case 0xc4:
        return has(1) && bytes(token, Kind::kBinary, load<std::uint8_t>());
      case 0xc5:
        return has(2) && bytes(token, Kind::kBinary, load<std::uint16_t>());
      case 0xc6:
        return has(4) && bytes(token, Kind::kBinary, load<std::uint32_t>());
      case 0xc7:
        return has(1) && extension(token, load<std::uint8_t>());
      case 0xc8:
        return has(2) && extension(token, load<std::uint16_t>());
      case 0xc9:
        return has(4) && extension(token, load<std::uint32_t>());
      case 0xca:
        return has(4) && real(token, std::bit_cast<float>(load<std::uint32_t>()));
      case 0xcb:
        return has(8) && real(token, std::bit_cast<double>(load<std::uint64_t>()));
      case 0xcc:
        return has(1) && natural(token, load<std::uint8_t>());
      case 0xcd:
        return has(2) && natural(token, load<std::uint16_t>());
      case 0xce:
        return has(4) && natural(token, load<std::uint32_t>());
      case 0xcf:
        return has(8) && natural(token, load<std::uint64_t>());
      case 0xd0:
        return has(1) && integer(token, static_cast<std::int8_t>(load<std::uint8_t>()));
      case 0xd1:
        return has(2) && integer(token, static_cast<std::int16_t>(load<std::uint16_t>()));
      case 0xd2:
        return has(4) && integer(token, static_cast<std::int32_t>(load<std::uint32_t>()));
      case 0xd3:
        return has(8) && integer(token, static_cast<std::int64_t>(load<std::uint64_t>()));
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return extension(token, 1U << (tag - 0xd4));
      case 0xd9:
        return has(1) && bytes(token, Kind::kText, load<std::uint8_t>());
      case 0xda:
        return has(2) && bytes(token, Kind::kText, load<std::uint16_t>());
      case 0xdb:
        return has(4) && bytes(token, Kind::kText, load<std::uint32_t>());
      case 0xdc:
        return has(2) && head(token, Kind::kArray, load<std::uint16_t>());
      case 0xdd:
        return has(4) && head(token, Kind::kArray, load<std::uint32_t>());
      case 0xde:
        return has(2) && head(token, Kind::kMap, load<std::uint16_t>());
      case 0xdf:
        return has(4) && head(token, Kind::kMap, load<std::uint32_t>());
      default:
        return false;  // 0xc1 is never used
    }
  }

  /// Walks over one whole value; false where it is cut short or malformed.
  bool skip() {
    for (std::uint64_t left = 1; left > 0; --left) {
      if (at_ == end_) return false;
      const std::uint8_t plain = kPlainBytes[*at_];
      if (plain != 0) {
        if (!has(plain)) return false;
        at_ += plain;
        continue;
      }
      Token token;
      if (!next(token)) return false;
      if (token.kind == Token::Kind::kArray) left += token.count;
      if (token.kind == Token::Kind::kMap) left += 2ULL * token.count;
    }
    return true;
  }

  /// Walks over these bytes, if they come next.
  bool skip_if(std::string_view expected) {
    if (!has(expected.size()) || std::memcmp(at_, expected.data(), expected.size()) != 0) return false;
    at_ += expected.size();
    return true;
  }

 private:
  /// By the first byte of a value, how many it takes, where that alone tells: numbers, short texts, nil and bool.
  static constexpr std::array<std::uint8_t, 256> kPlainBytes = [] {
    std::array<std::uint8_t, 256> bytes{};
    for (unsigned tag = 0; tag < 0x80; ++tag) bytes[tag] = 1;
    for (unsigned tag = 0xe0; tag < 0x100; ++tag) bytes[tag] = 1;
    for (unsigned tag = 0xa0; tag < 0xc0; ++tag) bytes[tag] = static_cast<std::uint8_t>(1 + (tag & 0x1f));
    for (const unsigned tag : {0xc0U, 0xc2U, 0xc3U}) bytes[tag] = 1;
    for (const unsigned tag : {0xccU, 0xd0U}) bytes[tag] = 1 + 1;
    for (const unsigned tag : {0xcdU, 0xd1U}) bytes[tag] = 1 + 2;
    for (const unsigned tag : {0xcaU, 0xceU, 0xd2U}) bytes[tag] = 1 + 4;
    for (const unsigned tag : {0xcbU, 0xcfU, 0xd3U}) bytes[tag] = 1 + 8;
    return bytes;
  }();

  [[nodiscard]] bool has(std::size_t size) const { return static_cast<std::size_t>(end_ - at_) >= size; }

  template <typename Number>
  Number load() {
    Number number = 0;
    std::memcpy(&number, at_, sizeof(Number));
    at_ += sizeof(Number);
    if constexpr (std::endian::native == std::endian::little) {
      if constexpr (sizeof(Number) == 2) number = __builtin_bswap16(number);
      if constexpr (sizeof(Number) == 4) number = __builtin_bswap32(number);
      if constexpr (sizeof(Number) == 8) number = __builtin_bswap64(number);
    }
    return number;
  }

  static bool natural(Token& token, std::uint64_t number) {
    token.kind = Token::Kind::kNatural;
    token.natural = number;
    return true;
  }
  static bool negative(Token& token, std::int64_t number) {
    token.kind = Token::Kind::kNegative;
    token.negative = number;
    return true;
  }
  static bool integer(Token& token, std::int64_t number) {
    return number < 0 ? negative(token, number) : natural(token, static_cast<std::uint64_t>(number));
  }
  static bool real(Token& token, double number) {
    token.kind = Token::Kind::kReal;
    token.real = number;
    return true;
  }
  static bool head(Token& token, Token::Kind kind, std::uint32_t count) {
    token.kind = kind;
    token.count = count;
    return true;
  }
  bool bytes(Token& token, Token::Kind kind, std::uint32_t size) {
    if (!has(size)) return false;
    token.kind = kind;
    token.text = {reinterpret_cast<const char*>(at_), size};
    at_ += size;
    return true;
  }
  bool extension(Token& token, std::uint32_t size) {
    if (!has(1)) return false;
    token.extension = static_cast<std::int8_t>(load<std::uint8_t>());
    return bytes(token, Token::Kind::kExtension, size);
  }

  const unsigned char* at_;
  const unsigned char* end_;
};

}  // namespace weir
