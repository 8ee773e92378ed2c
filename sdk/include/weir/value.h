// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <limits>
#include <msgpack.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

#include "weir/token.h"

namespace weir {

/// A value is not of the type that was asked for. Thrown by ValueView::as and RecordView; out of `process` it makes the
/// record an error with this sentence.
class DecodeError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One MessagePack value, borrowed as bytes and decoded when asked. Valid as long as the bytes: those of a record until
/// the call that was given the record returns.
class ValueView {
 public:
  /// Nil.
  ValueView() : bytes_(kNilBytes) {}
  /// `bytes` are one MessagePack value; no bytes at all stand for nil.
  explicit ValueView(BytesView bytes) : bytes_(bytes.empty() ? BytesView(kNilBytes) : bytes) {}

  /// The MessagePack bytes.
  [[nodiscard]] BytesView bytes() const { return bytes_; }
  [[nodiscard]] bool is_nil() const { return bytes_.size() == 1 && bytes_[0] == std::byte{0xc0}; }

  /// The value as a `T`: integers (range-checked), bool, float and double (from integers too), std::string,
  /// std::string_view and BytesView (which view the record's bytes), ValueView, and whatever msgpack-c converts
  /// (containers, std::optional, types with MSGPACK_DEFINE). Only the last allocate by themselves.
  /// Errors: DecodeError.
  template <typename T>
  [[nodiscard]] T as() const;

  /// The first token: the whole value if it is no array or map. Errors: DecodeError where the bytes are no MessagePack.
  [[nodiscard]] Token token() const {
    Token token;
    if (!TokenReader(bytes_).next(token)) throw DecodeError("the bytes are no MessagePack");
    return token;
  }

  /// What the value is, in a few words for a sentence: `the integer 7`, `the string "seven"`, `a map`.
  [[nodiscard]] std::string describe() const;

 private:
  static constexpr std::byte kNilBytes[1] = {std::byte{0xc0}};

  [[noreturn]] void refuse(const char* expected) const {
    throw DecodeError(std::string("expected ") + expected + ", found " + describe());
  }
  template <typename T>
  [[nodiscard]] T integer() const;

  BytesView bytes_;
};

inline std::string ValueView::describe() const {
  Token token;
  if (!TokenReader(bytes_).next(token)) return "bytes that are no MessagePack";
  switch (token.kind) {
    case Token::Kind::kNil:
      return "nil";
    case Token::Kind::kBool:
      return token.boolean ? "true" : "false";
    case Token::Kind::kNatural:
      return "the integer " + std::to_string(token.natural);
    case Token::Kind::kNegative:
      return "the integer " + std::to_string(token.negative);
    case Token::Kind::kReal:
      return "the float " + std::to_string(token.real);
    case Token::Kind::kText: {
      constexpr std::size_t kShown = 40;
      const bool cut = token.text.size() > kShown;
      return "the string \"" + std::string(token.text.substr(0, kShown)) + (cut ? "...\"" : "\"");
    }
    case Token::Kind::kBinary:
      return std::to_string(token.text.size()) + " bytes";
    case Token::Kind::kArray:
      return "a list of " + std::to_string(token.count);
    case Token::Kind::kMap:
      return "a map";
    case Token::Kind::kExtension:
      return "an extension type";
  }
  return "an unknown value";
}

template <typename T>
T ValueView::integer() const {
  const Token token = this->token();
  if (token.kind == Token::Kind::kNatural) {
    if (token.natural <= static_cast<std::uint64_t>(std::numeric_limits<T>::max()))
      return static_cast<T>(token.natural);
  } else if (token.kind == Token::Kind::kNegative) {
    if constexpr (std::is_signed_v<T>) {
      if (token.negative >= static_cast<std::int64_t>(std::numeric_limits<T>::min())) {
        return static_cast<T>(token.negative);
      }
    }
  } else {
    refuse("an integer");
  }
  throw DecodeError(describe() + " does not fit " + (std::is_signed_v<T> ? "" : "un") + "signed " +
                    std::to_string(sizeof(T) * 8) + " bits");
}

/// Memory for what msgpack-c makes of one value. This thread's is used again, since a zone of its own costs a value two
/// allocations; who decodes within the conversion of another value gets a fresh one.
class [[gnu::visibility("hidden")]] ScratchZone {
 public:
  ScratchZone() : outermost_(!used()) {
    used() = true;
    if (!outermost_) own_.emplace();
  }
  ScratchZone(const ScratchZone&) = delete;
  ScratchZone& operator=(const ScratchZone&) = delete;
  ~ScratchZone() {
    if (!outermost_) return;
    shared().clear();
    used() = false;
  }
  msgpack::zone& zone() { return outermost_ ? shared() : *own_; }

 private:
  static msgpack::zone& shared() {
    static thread_local msgpack::zone zone;
    return zone;
  }
  static bool& used() {
    static thread_local bool used = false;
    return used;
  }

  const bool outermost_;
  std::optional<msgpack::zone> own_;
};

template <typename T>
T ValueView::as() const {
  using Kind = Token::Kind;
  if constexpr (std::same_as<T, ValueView>) {
    return *this;
  } else if constexpr (std::same_as<T, bool>) {
    const Token token = this->token();
    if (token.kind != Kind::kBool) refuse("true or false");
    return token.boolean;
  } else if constexpr (std::integral<T>) {
    return integer<T>();
  } else if constexpr (std::floating_point<T>) {
    const Token token = this->token();
    if (!token.is_number()) refuse("a number");
    return static_cast<T>(token.as_real());
  } else if constexpr (std::same_as<T, std::string_view> || std::same_as<T, std::string>) {
    const Token token = this->token();
    if (token.kind != Kind::kText) refuse("a string");
    return T(token.text);
  } else if constexpr (std::same_as<T, BytesView>) {
    const Token token = this->token();
    if (token.kind != Kind::kBinary) refuse("binary");
    return std::as_bytes(std::span(token.text.data(), token.text.size()));
  } else {
    try {
      // Strings are referenced, not copied into the zone, of which nothing outlives this call.
      const auto by_reference = [](msgpack::type::object_type, std::size_t, void*) { return true; };
      ScratchZone scratch;
      return msgpack::unpack(scratch.zone(), reinterpret_cast<const char*>(bytes_.data()), bytes_.size(), by_reference)
          .template as<T>();
    } catch (const std::bad_cast&) {
      refuse("a value of the type that the stage asks for");
    } catch (const msgpack::unpack_error&) {
      throw DecodeError("the bytes are no MessagePack");
    }
  }
}

}  // namespace weir
