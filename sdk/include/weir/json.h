// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "weir/base64.h"
#include "weir/token.h"
#include "weir/utf8.h"

namespace weir {

/// Deeper nesting is refused, in MessagePack as in JSON, so that no input exhausts the stack.
inline constexpr int kNestingMax = 32;

/// Writes JSON as Weir prints it everywhere (`file.write`, `console.print`, `weir tail`): numbers as numbers, a float
/// always with a point or an exponent so that it stays one; NaN and infinities as null; binary as
/// {"$binary": "<base64>"}, an extension type as {"$extension": [type, "<base64>"]}; map keys that are no strings as
/// their JSON text; bytes that are no UTF-8 as U+FFFD. Appends to a string that it borrows. [one thread]
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  /// Appends one MessagePack value, without spaces or line ends. False where the bytes are malformed or nested deeper
  /// than kNestingMax; then what was appended is cut off again.
  bool value(BytesView msgpack) {
    const std::size_t start = out_.size();
    TokenReader reader(msgpack);
    if (any(reader, 0) && reader.at_end()) return true;
    out_.resize(start);
    return false;
  }

  /// Appends {"key":...,"value":...,"timestamp":...}: a record as one line, without the line's end. False as value().
  bool record(BytesView key, BytesView value, Timestamp timestamp) {
    const std::size_t start = out_.size();
    out_.append("{\"key\":");
    if (this->value(key)) {
      out_.append(",\"value\":");
      if (this->value(value)) {
        out_.append(",\"timestamp\":");
        integer(timestamp);
        out_.push_back('}');
        return true;
      }
    }
    out_.resize(start);
    return false;
  }

  void text(std::string_view text) {
    out_.push_back('"');
    while (!text.empty()) {
      const std::size_t plain = plain_prefix(text);
      out_.append(text.substr(0, plain));
      text.remove_prefix(plain);
      if (text.empty()) break;
      text.remove_prefix(static_cast<unsigned char>(text[0]) < 0x80 ? escape(text[0]) : beyond_ascii(text));
    }
    out_.push_back('"');
  }

  void integer(std::int64_t number) { digits(number); }

  /// Sequences of bytes replaced by U+FFFD so far.
  [[nodiscard]] std::uint64_t replaced() const { return replaced_; }

 private:
  static std::size_t plain_prefix(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
      const auto byte = static_cast<unsigned char>(text[at]);
      if (byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\') break;
      ++at;
    }
    return at;
  }

  std::size_t escape(char byte) {
    constexpr std::string_view kHex = "0123456789abcdef";
    switch (byte) {
      case '"':
        out_.append("\\\"");
        break;
      case '\\':
        out_.append("\\\\");
        break;
      case '\n':
        out_.append("\\n");
        break;
      case '\r':
        out_.append("\\r");
        break;
      case '\t':
        out_.append("\\t");
        break;
      default:
        out_.append("\\u00");
        out_.push_back(kHex[static_cast<unsigned char>(byte) >> 4]);
        out_.push_back(kHex[static_cast<unsigned char>(byte) & 0xf]);
    }
    return 1;
  }

  std::size_t beyond_ascii(std::string_view text) {
    const Utf8Step step = utf8_step(text);
    if (step.valid) {
      out_.append(text.substr(0, step.size));
    } else {
      out_.append("\xef\xbf\xbd");
      ++replaced_;
    }
    return step.size;
  }

  template <typename Number>
  void digits(Number number) {
    char buffer[32];
    out_.append(buffer, std::to_chars(buffer, buffer + sizeof(buffer), number).ptr);
  }

  void real(double number) {
    if (!std::isfinite(number)) {
      out_.append("null");
      return;
    }
    const std::size_t start = out_.size();
    digits(number);
    if (out_.find_first_of(".e", start) == std::string::npos) out_.append(".0");
  }

  void base64(std::string_view bytes) {
    out_.push_back('"');
    append_base64(out_, bytes);
    out_.push_back('"');
  }

  bool any(TokenReader& reader, int depth) {
    Token token;
    if (depth > kNestingMax || !reader.next(token)) return false;
    switch (token.kind) {
      case Token::Kind::kNil:
        out_.append("null");
        return true;
      case Token::Kind::kBool:
        out_.append(token.boolean ? "true" : "false");
        return true;
      case Token::Kind::kNatural:
        digits(token.natural);
        return true;
      case Token::Kind::kNegative:
        digits(token.negative);
        return true;
      case Token::Kind::kReal:
        real(token.real);
        return true;
      case Token::Kind::kText:
        text(token.text);
        return true;
      case Token::Kind::kBinary:
        out_.append("{\"$binary\":");
        base64(token.text);
        out_.push_back('}');
        return true;
      case Token::Kind::kExtension:
        out_.append("{\"$extension\":[");
        digits(static_cast<int>(token.extension));
        out_.push_back(',');
        base64(token.text);
        out_.append("]}");
        return true;
      case Token::Kind::kArray:
        return array(reader, token.count, depth);
      case Token::Kind::kMap:
        return map(reader, token.count, depth);
    }
    return false;
  }

  bool array(TokenReader& reader, std::uint32_t count, int depth) {
    out_.push_back('[');
    for (std::uint32_t i = 0; i < count; ++i) {
      if (i > 0) out_.push_back(',');
      if (!any(reader, depth + 1)) return false;
    }
    out_.push_back(']');
    return true;
  }

  bool map(TokenReader& reader, std::uint32_t count, int depth) {
    out_.push_back('{');
    for (std::uint32_t i = 0; i < count; ++i) {
      if (i > 0) out_.push_back(',');
      if (!map_key(reader, depth + 1)) return false;
      out_.push_back(':');
      if (!any(reader, depth + 1)) return false;
    }
    out_.push_back('}');
    return true;
  }

  bool map_key(TokenReader& reader, int depth) {
    TokenReader ahead = reader;
    Token token;
    if (!ahead.next(token)) return false;
    if (token.kind == Token::Kind::kText) return any(reader, depth);
    std::string key;
    JsonWriter inner(key);
    if (!inner.any(reader, depth)) return false;
    replaced_ += inner.replaced_;
    text(key);
    return true;
  }

  std::string& out_;
  std::uint64_t replaced_ = 0;
};

}  // namespace weir
