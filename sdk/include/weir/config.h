// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

#include "weir/json_reader.h"
#include "weir/pointer.h"

namespace weir {

/// A configuration is not what the stage can work with. Out of a stage's constructor its sentence is what the user
/// sees.
class ConfigError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A stage's configuration. The host has checked it against the stage's schema, so a constructor only takes what it
/// needs:
///
///     explicit Threshold(const weir::Config& config)
///         : above_(config.get<double>("/above")), unit_(config.get<std::string>("/unit", "ms")) {}
///
/// Holds for the constructor; copy what is to stay. [one thread]
class Config {
 public:
  /// Errors: ConfigError where `json` is no JSON. Empty text is the empty configuration.
  explicit Config(std::string_view json) {
    JsonReader reader;
    if (!reader.read(json.empty() ? std::string_view("{}") : json, msgpack_)) {
      throw ConfigError("the configuration is no JSON: " + reader.error());
    }
  }

  /// What stands at the JSON Pointer, as any type that ValueView::as gives. A float without fraction serves as an
  /// integer, as in JSON Schema. Errors: ConfigError, naming the pointer.
  template <typename T>
  [[nodiscard]] T get(std::string_view pointer) const {
    const std::optional<ValueView> value = find(pointer);
    if (!value) throw ConfigError(std::string(pointer) + ": is missing");
    try {
      if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
        const Token token = value->token();
        if (token.kind == Token::Kind::kReal && std::trunc(token.real) == token.real && std::abs(token.real) < 9e18) {
          std::string integer;
          encode_integer(integer, static_cast<std::int64_t>(token.real));
          return ValueView(std::as_bytes(std::span(integer))).as<T>();
        }
      }
      return value->as<T>();
    } catch (const DecodeError& error) {
      throw ConfigError(std::string(pointer) + ": " + error.what());
    }
  }

  /// The same, or `otherwise` where nothing stands at `pointer`.
  template <typename T>
  [[nodiscard]] T get(std::string_view pointer, T otherwise) const {
    return contains(pointer) ? get<T>(pointer) : otherwise;
  }

  [[nodiscard]] bool contains(std::string_view pointer) const { return find(pointer).has_value(); }

  /// What stands at `pointer` as MessagePack, or nothing. Views this object.
  [[nodiscard]] std::optional<ValueView> find(std::string_view pointer) const {
    return Pointer(pointer).find(ValueView(std::as_bytes(std::span(msgpack_))));
  }

 private:
  std::string msgpack_;
};

}  // namespace weir
