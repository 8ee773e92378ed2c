// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/json_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <unordered_map>
#include <utility>

#include "sdk/base/check.h"
#include "sdk/topology/json_convert.h"

namespace weir {
namespace {

using Kind = JsonNode::Kind;

/// How far the parser has read. nlohmann's parser reads one character beyond a number, never beyond anything else, so a
/// line break that was read last does not count yet.
struct Cursor {
  std::uint32_t line = 1;
  char last = ' ';
  [[nodiscard]] std::uint32_t token_line() const { return last == '\n' ? line - 1 : line; }
};

/// Walks over a text and counts lines in a cursor that it borrows.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, Cursor* cursor) : at_(at), cursor_(cursor) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    cursor_->last = *at_;
    if (*at_ == '\n') ++cursor_->line;
    ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const CountingIterator& a, const CountingIterator& b) { return a.at_ == b.at_; }

 private:
  const char* at_;
  Cursor* cursor_;
};

/// Receives the parser's events and builds the tree.
class Builder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Builder(const Cursor& cursor) : cursor_(cursor) {}

  bool null() override { return place(JsonNode{}); }
  bool boolean(bool value) override {
    JsonNode node;
    node.kind = Kind::kBool;
    node.boolean = value;
    return place(std::move(node));
  }
  bool number_integer(number_integer_t value) override {
    if (value >= 0) return number_unsigned(static_cast<number_unsigned_t>(value));
    JsonNode node;
    node.kind = Kind::kInteger;
    node.integer = value;
    return place(std::move(node));
  }
  bool number_unsigned(number_unsigned_t value) override { return place(JsonNode::of_natural(value)); }
  bool number_float(number_float_t value, const string_t& /*written*/) override {
    JsonNode node;
    node.kind = Kind::kReal;
    node.real = value;
    return place(std::move(node));
  }
  bool string(string_t& value) override { return place(JsonNode::of_text(std::move(value))); }
  bool binary(binary_t& /*value*/) override { return false; }
  bool start_object(std::size_t /*elements*/) override { return open(Kind::kObject); }
  bool start_array(std::size_t /*elements*/) override { return open(Kind::kArray); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& value) override {
    name_ = value;
    name_line_ = cursor_.token_line();
    return true;
  }
  bool parse_error(std::size_t /*position*/, const std::string& /*last_token*/,
                   const nlohmann::detail::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 3, column 5: syntax error while parsing ...": the place is
    // said by us, and of the text only what can be shown.
    std::string_view why = error.what();
    if (const std::size_t at = why.find(": ");
        at != std::string_view::npos && why.starts_with("[json.exception.parse_error"))
      why.remove_prefix(at + 2);
    else if (const std::size_t end = why.find("] "); end != std::string_view::npos)
      why.remove_prefix(end + 2);
    std::string sentence = "this is no valid JSON: ";
    for (const char c : why) sentence += c >= ' ' && c < 0x7f ? c : '?';
    problems_.push_back({cursor_.token_line(), here(), std::move(sentence)});
    return false;
  }

  std::optional<JsonNode> root_;
  std::vector<JsonProblem> problems_;

 private:
  struct Level {
    JsonNode node;
    std::string pointer;
    std::unordered_map<std::string, std::uint32_t> lines;  ///< of the keys so far
  };

  [[nodiscard]] std::string here() const { return levels_.empty() ? "" : levels_.back().pointer; }

  /// A value that has no children.
  bool place(JsonNode node) {
    const bool member = !levels_.empty() && levels_.back().node.is(Kind::kObject);
    node.place.line = member ? name_line_ : cursor_.token_line();
    if (member) node.name = std::move(name_);
    return attach(std::move(node));
  }
  bool attach(JsonNode node) {
    if (levels_.empty()) {
      root_ = std::move(node);
      return true;
    }
    Level& parent = levels_.back();
    if (parent.node.is(Kind::kObject)) {
      const auto [first, is_new] = parent.lines.try_emplace(node.name, node.place.line);
      if (!is_new) {
        problems_.push_back(
            {node.place.line, pointer_to(here(), node.name),
             fmt::format("this field stands twice in its object; the first is in line {}", first->second)});
        return true;
      }
    }
    parent.node.children.push_back(std::move(node));
    return true;
  }
  bool open(Kind kind) {
    JsonNode node;
    node.kind = kind;
    std::string pointer;
    if (!levels_.empty()) {
      const JsonNode& parent = levels_.back().node;
      const bool member = parent.is(Kind::kObject);
      pointer = pointer_to(here(), member ? name_ : std::to_string(parent.children.size()));
      if (member) node.name = name_;
    }
    node.place.line = !levels_.empty() && levels_.back().node.is(Kind::kObject) ? name_line_ : cursor_.token_line();
    if (levels_.size() >= kJsonDepthMax) {
      problems_.push_back(
          {node.place.line, "", fmt::format("objects and arrays are nested deeper than {}", kJsonDepthMax)});
      return false;
    }
    levels_.push_back({std::move(node), std::move(pointer), {}});
    return true;
  }
  bool close() {
    JsonNode node = std::move(levels_.back().node);
    levels_.pop_back();
    return attach(std::move(node));
  }

  const Cursor& cursor_;
  std::vector<Level> levels_;
  std::string name_;
  std::uint32_t name_line_ = 1;
};

}  // namespace

const JsonNode* JsonNode::find(std::string_view member) const {
  if (kind != Kind::kObject) return nullptr;
  const auto found = std::ranges::find(children, member, &JsonNode::name);
  return found == children.end() ? nullptr : &*found;
}

JsonNode* JsonNode::find(std::string_view member) { return const_cast<JsonNode*>(std::as_const(*this).find(member)); }

JsonNode& JsonNode::at_or_add(std::string_view member) {
  WEIR_CHECK(kind == Kind::kObject, "only objects have members");
  if (JsonNode* found = find(member)) return *found;
  JsonNode& added = children.emplace_back();
  added.name = member;
  added.place = place;
  return added;
}

JsonNode JsonNode::of_text(std::string text) {
  JsonNode node;
  node.kind = Kind::kString;
  node.text = std::move(text);
  return node;
}

JsonNode JsonNode::of_natural(std::uint64_t number) {
  JsonNode node;
  node.kind = Kind::kNatural;
  node.natural = number;
  return node;
}

JsonNode JsonNode::object() {
  JsonNode node;
  node.kind = Kind::kObject;
  return node;
}

JsonDocument parse_json(std::string_view text) {
  JsonDocument document;
  if (text.size() > kJsonTextBytesMax) {
    document.problems.push_back({1, "", fmt::format("the text is longer than {} bytes", kJsonTextBytesMax)});
    return document;
  }
  // nlohmann's lexer takes a zero byte for the end of the text and would not look at what follows.
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos) {
    const auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(zero), '\n') + 1;
    document.problems.push_back({static_cast<std::uint32_t>(line), "", "this is no valid JSON: it holds a zero byte"});
    return document;
  }
  Cursor cursor;
  Builder builder(cursor);
  const bool whole = nlohmann::json::sax_parse(CountingIterator(text.data(), &cursor),
                                               CountingIterator(text.data() + text.size(), &cursor), &builder);
  document.problems = std::move(builder.problems_);
  if (whole) document.root = std::move(builder.root_);
  return document;
}

Result<JsonNode> parse_json_strictly(std::string_view text) {
  JsonDocument document = parse_json(text);
  if (document.problems.empty() && document.root) return std::move(*document.root);
  WEIR_CHECK(!document.problems.empty(), "a text that is no JSON has a problem");
  const JsonProblem& problem = document.problems.front();
  return {Code::kInvalid, fmt::format("line {}: {}{}{}", problem.line, problem.pointer,
                                      problem.pointer.empty() ? "" : ": ", problem.message)};
}

std::string to_text(const JsonNode& node, int indent) {
  return convert_json<nlohmann::ordered_json>(node).dump(indent, ' ', false,
                                                         nlohmann::ordered_json::error_handler_t::replace);
}

std::string_view kind_name(const JsonNode& node) {
  switch (node.kind) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return "a boolean";
    case Kind::kInteger:
    case Kind::kNatural:
    case Kind::kReal:
      return "a number";
    case Kind::kString:
      return "a string";
    case Kind::kArray:
      return "a list";
    case Kind::kObject:
      return "an object";
  }
  return "unknown";
}

std::string pointer_to(std::string_view pointer, std::string_view step) {
  std::string longer(pointer);
  longer += '/';
  for (const char c : step) {
    if (c == '~')
      longer += "~0";
    else if (c == '/')
      longer += "~1";
    else
      longer += c;
  }
  return longer;
}

std::optional<std::vector<std::string>> pointer_steps(std::string_view pointer) {
  std::vector<std::string> steps;
  if (pointer.empty()) return steps;
  if (pointer.front() != '/') return std::nullopt;
  for (std::size_t i = 0; i < pointer.size(); ++i) {
    if (pointer[i] == '/') {
      steps.emplace_back();
    } else if (pointer[i] != '~') {
      steps.back() += pointer[i];
    } else {
      ++i;
      if (i == pointer.size() || (pointer[i] != '0' && pointer[i] != '1')) return std::nullopt;
      steps.back() += pointer[i] == '0' ? '~' : '/';
    }
  }
  return steps;
}

namespace {

/// The child that `step` names, or null.
const JsonNode* child_of(const JsonNode& node, const std::string& step) {
  if (!node.is(Kind::kArray)) return node.find(step);
  if (step.empty() || step.size() > 7 || !std::ranges::all_of(step, [](char c) { return c >= '0' && c <= '9'; }))
    return nullptr;
  const std::size_t index = std::stoul(step);
  return index < node.children.size() ? &node.children[index] : nullptr;
}

}  // namespace

const JsonNode* follow(const JsonNode& root, std::string_view pointer) {
  const auto steps = pointer_steps(pointer);
  if (!steps) return nullptr;
  const JsonNode* node = &root;
  for (const std::string& step : *steps) {
    node = child_of(*node, step);
    if (node == nullptr) return nullptr;
  }
  return node;
}

Place place_of(const JsonNode& root, std::string_view pointer) {
  const JsonNode* node = &root;
  for (const std::string& step : pointer_steps(pointer).value_or(std::vector<std::string>{})) {
    const JsonNode* next = child_of(*node, step);
    if (next == nullptr) break;
    node = next;
  }
  return node->place;
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U; };
    const unsigned first = byte(i);
    std::size_t length = 0;
    unsigned low = 0x80;
    unsigned high = 0xBF;
    // The table of well-formed sequences, Unicode 15, table 3-7.
    if (first < 0x80) {
      length = 1;
    } else if (first >= 0xC2 && first <= 0xDF) {
      length = 2;
    } else if (first >= 0xE0 && first <= 0xEF) {
      length = 3;
      if (first == 0xE0) low = 0xA0;
      if (first == 0xED) high = 0x9F;
    } else if (first >= 0xF0 && first <= 0xF4) {
      length = 4;
      if (first == 0xF0) low = 0x90;
      if (first == 0xF4) high = 0x8F;
    } else {
      return false;
    }
    for (std::size_t k = 1; k < length; ++k) {
      const unsigned next = byte(i + k);
      if (next < (k == 1 ? low : 0x80U) || next > (k == 1 ? high : 0xBFU)) return false;
    }
    i += length;
  }
  return true;
}

}  // namespace weir
