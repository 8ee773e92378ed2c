// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "weir/json_reader.h"
#include "weir/pointer.h"
#include "weir/token.h"

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
    if (!value) throw ConfigError(named(pointer) + ": is missing");
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
      throw ConfigError(named(pointer) + ": " + error.what());
    }
  }

  /// The same, or `otherwise` where nothing stands at `pointer`.
  template <typename T>
  [[nodiscard]] T get(std::string_view pointer, T otherwise) const {
    return contains(pointer) ? get<T>(pointer) : otherwise;
  }

  /// A duration such as "50ms" (us, ms, s, m, h), or a size such as "1MiB" in bytes (B, KiB, MiB, GiB, TiB);
  /// `otherwise`, written the same way, where nothing stands at `pointer`. Errors: ConfigError.
  [[nodiscard]] std::chrono::microseconds get_duration(std::string_view pointer, std::string_view otherwise) const {
    static constexpr Unit kUnits[] = {{"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}, {"h", 3600e6}};
    return std::chrono::microseconds(measured(pointer, otherwise, kUnits, "duration like \"50ms\" (us, ms, s, m, h)"));
  }
  [[nodiscard]] std::uint64_t get_size(std::string_view pointer, std::string_view otherwise) const {
    static constexpr Unit kUnits[] = {
        {"B", 1}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824.0}, {"TiB", 1099511627776.0}};
    return static_cast<std::uint64_t>(
        measured(pointer, otherwise, kUnits, "size like \"64MiB\" (B, KiB, MiB, GiB, TiB)"));
  }

  [[nodiscard]] bool contains(std::string_view pointer) const { return find(pointer).has_value(); }

  /// What stands at `pointer` as MessagePack, or nothing. Views this object.
  [[nodiscard]] std::optional<ValueView> find(std::string_view pointer) const {
    return Pointer(pointer).find(ValueView(std::as_bytes(std::span(msgpack_))));
  }

  /// The elements of the list at `pointer`, each as a configuration of its own ("" is the element itself) whose errors
  /// name the whole pointer; none where no list stands there. In one pass, where a pointer each would count through the
  /// list every time.
  [[nodiscard]] std::vector<Config> elements(std::string_view pointer) const {
    std::vector<Config> found;
    const std::optional<ValueView> list = find(pointer);
    Token head;
    if (!list) return found;
    TokenReader reader(list->bytes());
    if (!reader.next(head) || head.kind != Token::Kind::kArray) return found;
    found.reserve(head.count);
    for (std::uint32_t i = 0; i < head.count; ++i) {
      const auto* begin = reinterpret_cast<const char*>(reader.position());
      if (!reader.skip()) break;
      const auto* end = reinterpret_cast<const char*>(reader.position());
      found.push_back(Config(named(pointer) + "/" + std::to_string(i), std::string(begin, end)));
    }
    return found;
  }

 private:
  Config(std::string at, std::string msgpack) : at_(std::move(at)), msgpack_(std::move(msgpack)) {}

  struct Unit {
    std::string_view name;
    double factor;
  };

  [[nodiscard]] std::int64_t measured(std::string_view pointer, std::string_view otherwise, std::span<const Unit> units,
                                      const char* expected) const {
    const std::string text = get<std::string>(pointer, std::string(otherwise));
    double number = 0;
    const auto [stop, error] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    const std::string_view unit(stop, text.data() + text.size());
    for (const Unit& known : units) {
      if (error != std::errc() || number < 0 || unit != known.name) continue;
      if (const double value = number * known.factor; value < 9.2e18) return std::llround(value);
    }
    throw ConfigError(named(pointer) + ": \"" + text + "\" is no " + expected);
  }

  [[nodiscard]] std::string named(std::string_view pointer) const { return at_ + std::string(pointer); }

  std::string at_;  ///< where it stands in the stage's configuration
  std::string msgpack_;
};

}  // namespace weir
