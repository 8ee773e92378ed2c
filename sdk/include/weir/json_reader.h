// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "weir/encode.h"
#include "weir/json.h"
#include "weir/utf8.h"

namespace weir {

/// Reads one JSON text (RFC 8259) into MessagePack, in one pass. Integers that fit 64 bits become integers, other
/// numbers floats. Refused: text that is no UTF-8, single surrogates, a name twice in one object, numbers beyond a
/// double, nesting deeper than kNestingMax. Reusable; keeps its buffers. [one thread]
class JsonReader {
 public:
  /// What was written where binary stood: {"$binary": "<base64>"} alone in an object.
  enum class Binary : std::uint8_t {
    kLeave,   ///< an object like any other
    kDecode,  ///< becomes MessagePack binary, as `weir produce` reads what `weir tail` prints
  };

  explicit JsonReader(Binary binary = Binary::kLeave) : binary_(binary) {}

  /// Appends the value of `text`; true if it is JSON. Otherwise `out` is as before, and error() says what is wrong.
  bool read(std::string_view text, std::string& out) {
    begin_ = at_ = text.data();
    end_ = at_ + text.size();
    error_ = nullptr;
    const std::size_t start = out.size();
    if (value(out, 0)) {
      skip_space();
      if (at_ == end_) return true;
      fail("something follows the value");
    }
    out.resize(start);
    return false;
  }

  /// A sentence with the place: `byte 12: a string is not closed`.
  [[nodiscard]] std::string error() const {
    return "byte " + std::to_string(at_ - begin_) + ": " + (error_ == nullptr ? "no error" : error_);
  }

 private:
  bool fail(const char* what) {
    if (error_ == nullptr) error_ = what;
    return false;
  }

  void skip_space() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
  }

  bool value(std::string& out, int depth) {
    skip_space();
    if (at_ == end_) return fail("the text ends where a value should stand");
    switch (*at_) {
      case '{':
        return depth < kNestingMax ? object(out, depth) : fail("nested too deeply");
      case '[':
        return depth < kNestingMax ? array(out, depth) : fail("nested too deeply");
      case '"': {
        std::string_view text;
        if (!string(text)) return false;
        encode_text(out, text);
        return true;
      }
      case 't':
        return word("true", out, '\xc3');
      case 'f':
        return word("false", out, '\xc2');
      case 'n':
        return word("null", out, '\xc0');
      default:
        return number(out);
    }
  }

  bool word(std::string_view expected, std::string& out, char tag) {
    if (!std::string_view(at_, end_).starts_with(expected)) return fail("no JSON value");
    at_ += expected.size();
    out.push_back(tag);
    return true;
  }

  [[nodiscard]] bool digit_here() const { return at_ < end_ && *at_ >= '0' && *at_ <= '9'; }
  void skip_digits() {
    while (digit_here()) ++at_;
  }

  bool number(std::string& out) {
    const char* const start = at_;
    bool integral = true;
    if (*at_ == '-') ++at_;
    if (!digit_here()) return fail("no JSON value");
    const bool leading_zero = *at_ == '0';
    const char* const digits = at_;
    skip_digits();
    if (leading_zero && at_ - digits > 1) return fail("a number begins with a needless zero");
    if (at_ < end_ && *at_ == '.') {
      integral = false;
      ++at_;
      if (!digit_here()) return fail("a number ends behind its point");
      skip_digits();
    }
    if (at_ < end_ && (*at_ == 'e' || *at_ == 'E')) {
      integral = false;
      ++at_;
      if (at_ < end_ && (*at_ == '+' || *at_ == '-')) ++at_;
      if (!digit_here()) return fail("a number ends behind its exponent");
      skip_digits();
    }
    return integral && integer(start, out) ? true : real(start, out);
  }

  bool integer(const char* start, std::string& out) const {
    if (*start == '-') {
      std::int64_t negative = 0;
      if (std::from_chars(start, at_, negative).ec != std::errc()) return false;
      encode_integer(out, negative);
      return true;
    }
    std::uint64_t natural = 0;
    if (std::from_chars(start, at_, natural).ec != std::errc()) return false;
    encode_natural(out, natural);
    return true;
  }

  /// The power of ten of a number's first digit that is not 0. Saturates.
  static std::int64_t magnitude(std::string_view number) {
    constexpr std::int64_t kFar = std::int64_t{1} << 60;
    const std::size_t end = std::min(number.find_first_of("eE"), number.size());
    const std::size_t point = std::min(number.find('.'), end);
    const std::size_t first = std::min(number.find_first_of("123456789"), end);
    const auto places = static_cast<std::int64_t>(first < point ? point - first - 1 : 0) -
                        static_cast<std::int64_t>(first > point ? first - point : 0);
    if (end == number.size()) return places;
    std::string_view exponent = number.substr(end + 1);
    const bool negative = exponent.front() == '-';
    if (negative || exponent.front() == '+') exponent.remove_prefix(1);
    std::int64_t power = 0;
    if (std::from_chars(exponent.data(), exponent.data() + exponent.size(), power).ec != std::errc() || power > kFar)
      power = kFar;
    return places + (negative ? -power : power);
  }

  bool real(const char* start, std::string& out) {
    double number = 0;
    if (std::from_chars(start, at_, number).ec != std::errc()) {
      // from_chars tells overflow and underflow apart by nothing but the text; a number too small is zero.
      if (magnitude({start, at_}) > 0) return fail("a number is too large");
      number = *start == '-' ? -0.0 : 0.0;
    }
    encode_real(out, number);
    return true;
  }

  /// `text` views the input, or unescaped_ until the next string.
  bool string(std::string_view& text) {
    const char* const start = ++at_;
    skip_plain();
    if (at_ < end_ && *at_ == '"') {
      text = {start, at_};
      ++at_;
      return is_well_formed_utf8(text) || fail("a string is no UTF-8");
    }
    unescaped_.assign(start, at_);
    while (at_ < end_ && *at_ == '\\') {
      if (!escape()) return false;
      const char* const plain = at_;
      skip_plain();
      unescaped_.append(plain, at_);
    }
    if (at_ == end_) return fail("a string is not closed");
    if (*at_ != '"') return fail("a control character in a string");
    ++at_;
    text = unescaped_;
    return is_well_formed_utf8(text) || fail("a string is no UTF-8");
  }

  void skip_plain() {
    while (at_ < end_ && *at_ != '"' && *at_ != '\\' && static_cast<unsigned char>(*at_) >= 0x20) ++at_;
  }

  bool escape() {
    ++at_;
    if (at_ == end_) return fail("a string is not closed");
    const char letter = *at_++;
    switch (letter) {
      case '"':
      case '\\':
      case '/':
        unescaped_.push_back(letter);
        return true;
      case 'b':
        unescaped_.push_back('\b');
        return true;
      case 'f':
        unescaped_.push_back('\f');
        return true;
      case 'n':
        unescaped_.push_back('\n');
        return true;
      case 'r':
        unescaped_.push_back('\r');
        return true;
      case 't':
        unescaped_.push_back('\t');
        return true;
      case 'u':
        return unicode();
      default:
        return fail("an unknown escape in a string");
    }
  }

  bool hex4(std::uint32_t& code) {
    if (end_ - at_ < 4) return fail("a string is not closed");
    const auto [stop, error] = std::from_chars(at_, at_ + 4, code, 16);
    if (error != std::errc() || stop != at_ + 4) return fail("\\u without four hexadecimal digits");
    at_ += 4;
    return true;
  }

  bool unicode() {
    std::uint32_t code = 0;
    if (!hex4(code)) return false;
    if (code >= 0xdc00 && code < 0xe000) return fail("half of a surrogate pair");
    if (code >= 0xd800 && code < 0xdc00) {
      std::uint32_t low = 0;
      if (end_ - at_ < 2 || at_[0] != '\\' || at_[1] != 'u') return fail("half of a surrogate pair");
      at_ += 2;
      if (!hex4(low)) return false;
      if (low < 0xdc00 || low >= 0xe000) return fail("half of a surrogate pair");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    append_utf8(unescaped_, code);
    return true;
  }

  /// A count that is known only behind its elements: the head of a small array or map is one byte, put down first and
  /// widened when there were more.
  static void close(std::string& out, std::size_t head, std::uint32_t count, char small, char wide16, char wide32) {
    if (count < 16) {
      out[head] = static_cast<char>(small | static_cast<char>(count));
      return;
    }
    const std::size_t width = count <= 0xffff ? 2 : 4;
    out[head] = width == 2 ? wide16 : wide32;
    char bytes[4];
    for (std::size_t i = 0; i < width; ++i) bytes[i] = static_cast<char>(count >> (8 * (width - 1 - i)));
    out.insert(head + 1, bytes, width);
  }

  bool array(std::string& out, int depth) {
    const std::size_t head = out.size();
    std::uint32_t count = 0;
    out.push_back(0);
    ++at_;
    skip_space();
    if (at_ < end_ && *at_ == ']') {
      ++at_;
    } else {
      while (true) {
        if (!value(out, depth + 1)) return false;
        ++count;
        skip_space();
        if (at_ == end_) return fail("a list is not closed");
        const char mark = *at_++;
        if (mark == ']') break;
        if (mark != ',') return fail("a comma is missing in a list");
      }
    }
    close(out, head, count, '\x90', '\xdc', '\xdd');
    return true;
  }

  bool object(std::string& out, int depth) {
    const std::size_t head = out.size();
    std::uint32_t count = 0;
    out.push_back(0);
    ++at_;
    skip_space();
    if (at_ < end_ && *at_ == '}') {
      ++at_;
    } else {
      while (true) {
        if (!member(out, depth)) return false;
        ++count;
        skip_space();
        if (at_ == end_) return fail("an object is not closed");
        const char mark = *at_++;
        if (mark == '}') break;
        if (mark != ',') return fail("a comma is missing in an object");
      }
    }
    if (count > 1 && !names_differ(out, head, count)) return fail("a name stands twice in an object");
    close(out, head, count, '\x80', '\xde', '\xdf');
    return binary_ == Binary::kLeave || count != 1 || binary(out, head);
  }

  bool member(std::string& out, int depth) {
    skip_space();
    if (at_ == end_ || *at_ != '"') return fail("a name in an object is missing");
    std::string_view name;
    if (!string(name)) return false;
    encode_text(out, name);
    skip_space();
    if (at_ == end_ || *at_ != ':') return fail("a colon is missing in an object");
    ++at_;
    return value(out, depth + 1);
  }

  [[nodiscard]] static bool names_differ(const std::string& out, std::size_t head, std::uint32_t count) {
    TokenReader reader(std::as_bytes(std::span(out).subspan(head + 1)));
    constexpr std::uint32_t kFew = 16;
    std::string_view few[kFew];
    std::set<std::string_view> many;
    Token name;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!reader.next(name) || !reader.skip()) return true;
      if (count > kFew) {
        if (!many.insert(name.text).second) return false;
        continue;
      }
      for (std::uint32_t j = 0; j < i; ++j) {
        if (few[j] == name.text) return false;
      }
      few[i] = name.text;
    }
    return true;
  }

  bool binary(std::string& out, std::size_t head) {
    TokenReader reader(std::as_bytes(std::span(out).subspan(head + 1)));
    Token name;
    Token text;
    if (!reader.next(name) || name.text != "$binary") return true;
    if (!reader.next(text) || text.kind != Token::Kind::kText) return fail("\"$binary\" is no base64");
    std::string bytes;
    if (!decode_base64(bytes, text.text)) return fail("\"$binary\" is no base64");
    out.resize(head);
    encode_binary(out, bytes);
    return true;
  }

  Binary binary_;
  const char* begin_ = nullptr;
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  const char* error_ = nullptr;
  std::string unescaped_;
};

}  // namespace weir
