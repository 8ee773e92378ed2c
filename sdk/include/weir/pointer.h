// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir/encode.h"
#include "weir/value.h"

namespace weir {

/// A JSON Pointer (RFC 6901) into MessagePack values: "" is the whole value, "/user/name" a field, "/list/0" an
/// element. Parsed once, followed for every record without allocating. Maps are entered by string keys only.
class Pointer {
 public:
  /// Errors: std::invalid_argument where `text` is no JSON Pointer.
  explicit Pointer(std::string_view text) : text_(text) {
    if (!text.empty() && text[0] != '/') throw std::invalid_argument("\"" + text_ + "\" is no JSON Pointer");
    while (!text.empty()) {
      text.remove_prefix(1);
      const std::string_view step = text.substr(0, text.find('/'));
      steps_.emplace_back(unescape(step));
      text.remove_prefix(step.size());
    }
  }

  [[nodiscard]] const std::string& text() const { return text_; }

  /// What the pointer leads to in `root`, or nothing.
  [[nodiscard]] std::optional<ValueView> find(ValueView root) const {
    TokenReader reader(root.bytes());
    for (const Step& step : steps_) {
      if (!enter(reader, step)) return std::nullopt;
    }
    const std::byte* const start = reader.position();
    if (!reader.skip()) return std::nullopt;
    return ValueView(BytesView(start, reader.position()));
  }

 private:
  std::string unescape(std::string_view step) const {
    std::string plain;
    for (std::size_t i = 0; i < step.size(); ++i) {
      if (step[i] != '~') {
        plain.push_back(step[i]);
        continue;
      }
      ++i;
      if (i == step.size() || (step[i] != '0' && step[i] != '1')) {
        throw std::invalid_argument("\"" + text_ + "\" is no JSON Pointer");
      }
      plain.push_back(step[i] == '0' ? '~' : '/');
    }
    return plain;
  }

  struct Step {
    explicit Step(std::string plain) : name(std::move(plain)) { encode(encoded, name); }
    std::string name;
    std::string encoded;  ///< as nearly every map has it

    /// Whether a whole value is the name all the same, with a longer head than it needs.
    [[nodiscard]] bool is_encoded_longer(BytesView value) const {
      if (value.size() <= encoded.size() || value.size() > encoded.size() + sizeof(std::uint32_t)) return false;
      Token token;
      return TokenReader(value).next(token) && token.kind == Token::Kind::kText && token.text == name;
    }
  };

  static bool enter(TokenReader& reader, const Step& into) {
    Token token;
    if (!reader.next(token)) return false;
    if (token.kind == Token::Kind::kMap) {
      for (std::uint32_t i = 0; i < token.count; ++i) {
        if (reader.skip_if(into.encoded)) return true;
        const std::byte* const start = reader.position();
        if (!reader.skip()) return false;
        if (into.is_encoded_longer(BytesView(start, reader.position()))) return true;
        if (!reader.skip()) return false;
      }
      return false;
    }
    if (token.kind != Token::Kind::kArray) return false;
    const std::string& step = into.name;
    std::uint32_t index = 0;
    const auto [stop, error] = std::from_chars(step.data(), step.data() + step.size(), index);
    if (error != std::errc() || stop != step.data() + step.size() || (step.size() > 1 && step[0] == '0')) return false;
    if (index >= token.count) return false;
    for (std::uint32_t i = 0; i < index; ++i) {
      if (!reader.skip()) return false;
    }
    return true;
  }

  std::string text_;
  std::vector<Step> steps_;
};

}  // namespace weir
