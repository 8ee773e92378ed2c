// SPDX-License-Identifier: Apache-2.0
#include "stages/select/condition.h"

#include <re2/re2.h>

#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include "weir/compare.h"

namespace weir::select {
namespace {

class All final : public Condition {
 public:
  explicit All(std::vector<std::unique_ptr<Condition>> parts) : parts_(std::move(parts)) {}
  [[nodiscard]] bool holds(ValueView value) const override {
    for (const auto& part : parts_) {
      if (!part->holds(value)) return false;
    }
    return true;
  }

 private:
  std::vector<std::unique_ptr<Condition>> parts_;
};

class Any final : public Condition {
 public:
  explicit Any(std::vector<std::unique_ptr<Condition>> parts) : parts_(std::move(parts)) {}
  [[nodiscard]] bool holds(ValueView value) const override {
    for (const auto& part : parts_) {
      if (part->holds(value)) return true;
    }
    return false;
  }

 private:
  std::vector<std::unique_ptr<Condition>> parts_;
};

class Not final : public Condition {
 public:
  explicit Not(std::unique_ptr<Condition> part) : part_(std::move(part)) {}
  [[nodiscard]] bool holds(ValueView value) const override { return !part_->holds(value); }

 private:
  std::unique_ptr<Condition> part_;
};

class Exists final : public Condition {
 public:
  Exists(Pointer field, bool wanted) : field_(std::move(field)), wanted_(wanted) {}
  [[nodiscard]] bool holds(ValueView value) const override { return field_.find(value).has_value() == wanted_; }

 private:
  Pointer field_;
  bool wanted_;
};

class Matches final : public Condition {
 public:
  Matches(Pointer field, const std::string& pattern, const std::string& pointer)
      : field_(std::move(field)), pattern_(pattern, re2::RE2::Quiet) {
    if (!pattern_.ok()) {
      throw ConfigError(pointer + "/value: \"" + pattern + "\" is no RE2 pattern: " + pattern_.error());
    }
  }
  [[nodiscard]] bool holds(ValueView value) const override {
    const auto found = field_.find(value);
    if (!found) return false;
    const Token token = found->token();
    return token.kind == Token::Kind::kText && re2::RE2::PartialMatch({token.text.data(), token.text.size()}, pattern_);
  }

 private:
  Pointer field_;
  re2::RE2 pattern_;
};

/// Compares lists and maps part by part; a map's order does not matter.
bool equal(TokenReader& left, TokenReader& right, int depth) {
  Token a;
  Token b;
  if (depth > kNestingMax || !left.next(a) || !right.next(b)) return false;
  if (a.kind == Token::Kind::kArray && b.kind == a.kind) {
    if (a.count != b.count) return false;
    for (std::uint32_t i = 0; i < a.count; ++i) {
      if (!equal(left, right, depth + 1)) return false;
    }
    return true;
  }
  if (a.kind != Token::Kind::kMap || b.kind != a.kind) return std::is_eq(compare(a, b));
  if (a.count != b.count) return false;
  const TokenReader start = right;
  for (std::uint32_t i = 0; i < a.count; ++i) {
    const TokenReader name = left;
    if (!left.skip()) return false;
    const TokenReader wanted = left;
    if (!left.skip()) return false;
    bool found = false;
    TokenReader candidate = start;
    for (std::uint32_t j = 0; j < b.count && !found; ++j) {
      TokenReader same_name = name;
      TokenReader same_value = wanted;
      TokenReader at = candidate;
      if (!candidate.skip()) return false;
      TokenReader value = candidate;
      if (!candidate.skip()) return false;
      found = equal(same_name, at, depth + 1) && equal(same_value, value, depth + 1);
    }
    if (!found) return false;
  }
  for (std::uint32_t i = 0; i < b.count; ++i) {
    if (!right.skip() || !right.skip()) return false;
  }
  return true;
}

bool equal(ValueView left, ValueView right) {
  TokenReader a(left.bytes());
  TokenReader b(right.bytes());
  return equal(a, b, 0);
}

class Compares final : public Condition {
 public:
  Compares(Pointer field, std::string_view op, ValueView value)
      : field_(std::move(field)),
        op_(op),
        bytes_(reinterpret_cast<const char*>(value.bytes().data()), value.bytes().size()) {}
  [[nodiscard]] bool holds(ValueView value) const override {
    const auto found = field_.find(value);
    const ValueView wanted(std::as_bytes(std::span(bytes_)));
    if (op_ == "==") return found && equal(*found, wanted);
    if (op_ == "!=") return !found || !equal(*found, wanted);
    if (!found) return false;
    const auto order = compare(found->token(), wanted.token());
    if (op_ == "<") return std::is_lt(order);
    if (op_ == "<=") return std::is_lteq(order);
    return op_ == ">" ? std::is_gt(order) : std::is_gteq(order);
  }

 private:
  Pointer field_;
  std::string op_;
  std::string bytes_;
};

std::vector<std::unique_ptr<Condition>> read_list(const Config& config, const std::string& pointer) {
  std::vector<std::unique_ptr<Condition>> parts;
  const std::uint32_t count = config.get<ValueView>(pointer).token().count;
  for (std::uint32_t i = 0; i < count; ++i) parts.push_back(Condition::read(config, pointer + "/" + std::to_string(i)));
  return parts;
}

}  // namespace

std::unique_ptr<Condition> Condition::read(const Config& config, const std::string& pointer) {
  if (config.contains(pointer + "/all")) return std::make_unique<All>(read_list(config, pointer + "/all"));
  if (config.contains(pointer + "/any")) return std::make_unique<Any>(read_list(config, pointer + "/any"));
  if (config.contains(pointer + "/not")) return std::make_unique<Not>(read(config, pointer + "/not"));
  Pointer field(config.get<std::string>(pointer + "/field"));
  const auto op = config.get<std::string>(pointer + "/op");
  if (op == "exists") return std::make_unique<Exists>(std::move(field), config.get<bool>(pointer + "/value", true));
  if (op == "matches") {
    return std::make_unique<Matches>(std::move(field), config.get<std::string>(pointer + "/value"), pointer);
  }
  return std::make_unique<Compares>(std::move(field), op, config.get<ValueView>(pointer + "/value"));
}

}  // namespace weir::select
