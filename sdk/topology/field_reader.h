// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sdk/topology/fields.h"
#include "sdk/topology/json_document.h"
#include "sdk/topology/names.h"
#include "sdk/topology/report.h"
#include "sdk/topology/substitute.h"

namespace weir {

/// Reads the fields of one object of the file: refuses unknown and unbuilt ones, fills in defaults, replaces `${...}`,
/// and reports what is wrong at the field's own pointer. Borrows all that it is given.
class FieldReader {
 public:
  /// `object` may be null or no object (reported): then every field has its default.
  FieldReader(const JsonNode* object, std::string pointer, FieldOwner owner, Report& report,
              const Environment& environment);

  /// The field, else its default from kFields, else null.
  const JsonNode* field(std::string_view name);
  [[nodiscard]] bool has(std::string_view name) const { return object_ != nullptr && object_->find(name) != nullptr; }
  [[nodiscard]] std::string pointer(std::string_view name) const { return pointer_to(pointer_, name); }
  [[nodiscard]] const std::string& pointer() const { return pointer_; }
  [[nodiscard]] Report& report() { return report_; }
  [[nodiscard]] const Environment& environment() const { return environment_; }

  // Each returns nothing where the field is absent without a default, or wrong (reported).
  std::optional<std::string> text(std::string_view name);
  std::optional<bool> boolean(std::string_view name);
  std::optional<std::uint64_t> number(std::string_view name, std::uint64_t min, std::uint64_t max);
  std::optional<std::uint64_t> size(std::string_view name, std::uint64_t bytes_min);
  std::optional<std::chrono::microseconds> duration(std::string_view name,
                                                    std::chrono::milliseconds min = std::chrono::milliseconds(0));
  template <typename T, std::size_t N>
  std::optional<T> choice(std::string_view name, const std::array<Choice<T>, N>& choices) {
    const std::optional<std::string> word = text(name);
    if (!word) return std::nullopt;
    const Choice<T>* found = find_choice(choices, *word);
    if (found == nullptr) {
      std::vector<std::string> words;
      for (const Choice<T>& choice : choices) {
        if (choice.built) words.emplace_back(choice.word);
      }
      report_.error(pointer(name), no_such(name, *word, name, std::move(words)));
      return std::nullopt;
    }
    if (!found->built) {
      report_.not_built(pointer(name), *word);
      return std::nullopt;
    }
    return found->value;
  }

  /// A string at `where`, with `${...}` replaced.
  std::optional<std::string> text_at(const JsonNode& node, const std::string& where);

 private:
  const JsonNode* object_ = nullptr;
  std::string pointer_;
  FieldOwner owner_;
  Report& report_;
  const Environment& environment_;
  std::deque<JsonNode> defaults_;  ///< a deque, so that pointers into it hold
};

}  // namespace weir
