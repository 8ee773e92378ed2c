// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sdk/base/result.h"

namespace weir {

/// Where a JSON value was written: a line of the file, or, with `setting`, the number of the `--set` (both from 1).
struct Place {
  std::uint32_t line = 1;
  bool setting = false;
};

/// One JSON value that remembers its place; the members of an object keep the order of the text. Plain values, copied
/// freely. The place of a member is that of its key.
struct JsonNode {
  enum class Kind : std::uint8_t { kNull, kBool, kInteger, kNatural, kReal, kString, kArray, kObject };

  Kind kind = Kind::kNull;
  bool boolean = false;
  std::int64_t integer = 0;        ///< kInteger: below zero
  std::uint64_t natural = 0;       ///< kNatural: zero and above
  double real = 0;                 ///< kReal
  std::string text;                ///< kString
  std::string name;                ///< the key, where this is the member of an object
  std::vector<JsonNode> children;  ///< elements or members
  Place place;

  [[nodiscard]] bool is(Kind wanted) const { return kind == wanted; }
  /// The member `name` of an object; null where there is none or this is no object.
  [[nodiscard]] const JsonNode* find(std::string_view member) const;
  [[nodiscard]] JsonNode* find(std::string_view member);
  /// The member `name`, added as null at the end where there is none. REQUIRES: an object.
  JsonNode& at_or_add(std::string_view member);

  static JsonNode of_text(std::string text);
  static JsonNode of_natural(std::uint64_t number);
  static JsonNode object();
};

/// What is wrong with a text that should have been JSON.
struct JsonProblem {
  std::uint32_t line = 1;
  std::string pointer;
  std::string message;
};

struct JsonDocument {
  std::optional<JsonNode> root;       ///< absent where the text is no JSON
  std::vector<JsonProblem> problems;  ///< duplicate keys too, of which the first counts
};

/// Deeper nesting and longer texts are refused, so that no input exhausts stack or memory.
inline constexpr std::uint32_t kJsonDepthMax = 64;
inline constexpr std::size_t kJsonTextBytesMax = 4U << 20;

/// Reads `text`; never throws, whatever the bytes. [any thread]
JsonDocument parse_json(std::string_view text);

/// As parse_json, with the first problem as an error: for texts that programs wrote.
Result<JsonNode> parse_json_strictly(std::string_view text);

/// JSON text; `indent` below 0 is one line.
std::string to_text(const JsonNode& node, int indent = -1);

/// "object", "string", ...: for messages.
std::string_view kind_name(const JsonNode& node);

/// `pointer` extended by one step, escaped as RFC 6901 says.
std::string pointer_to(std::string_view pointer, std::string_view step);

/// The unescaped steps of a JSON Pointer; absent where it is none ("" has no steps).
std::optional<std::vector<std::string>> pointer_steps(std::string_view pointer);

/// What `pointer` leads to, or null.
const JsonNode* follow(const JsonNode& root, std::string_view pointer);

/// The place of what `pointer` leads to, or of its nearest ancestor that exists.
Place place_of(const JsonNode& root, std::string_view pointer);

bool is_utf8(std::string_view text);

}  // namespace weir
