// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/value_path.h"

#include <algorithm>
#include <charconv>

#include "sdk/wire/head.h"

namespace weir::wire {
namespace {

constexpr int kDepthMax = 32;

std::optional<std::size_t> size_of(BytesView bytes, int depth) {
  using Kind = Head::Kind;
  const auto head = read_head(bytes);
  if (!head || depth > kDepthMax) return std::nullopt;
  switch (head->kind) {
    case Kind::kText:
    case Kind::kBinary:
    case Kind::kExtension:
      if (head->unsigned_ > bytes.size() - std::min(bytes.size(), head->size)) return std::nullopt;
      return head->size + head->unsigned_;
    case Kind::kArray:
    case Kind::kMap: {
      std::size_t at = head->size;
      const std::uint64_t children = head->kind == Kind::kMap ? 2 * head->unsigned_ : head->unsigned_;
      if (children > bytes.size()) return std::nullopt;
      for (std::uint64_t i = 0; i < children; ++i) {
        const auto child = size_of(bytes.subspan(at), depth + 1);
        if (!child) return std::nullopt;
        at += *child;
      }
      return at;
    }
    default:
      return head->size;
  }
}

/// The child of `value` that `name` leads to (a map's string key, an array's index), or nothing.
std::optional<BytesView> child(BytesView value, const std::string& name) {
  using Kind = Head::Kind;
  const auto head = read_head(value);
  if (!head || (head->kind != Kind::kMap && head->kind != Kind::kArray)) return std::nullopt;
  std::uint64_t wanted = 0;
  if (head->kind == Kind::kArray) {
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), wanted);
    if (error != std::errc() || end != name.data() + name.size() || (name.size() > 1 && name[0] == '0'))
      return std::nullopt;
  }
  std::size_t at = head->size;
  for (std::uint64_t i = 0; i < head->unsigned_; ++i) {
    bool found = head->kind == Kind::kArray && i == wanted;
    if (head->kind == Kind::kMap) {
      const auto key_size = value_size(value.subspan(at));
      if (!key_size) return std::nullopt;
      const auto key = read_head(value.subspan(at));
      found = key->kind == Kind::kText && as_text(value.subspan(at + key->size, key->unsigned_)) == name;
      at += *key_size;
    }
    const auto size = value_size(value.subspan(at));
    if (!size) return std::nullopt;
    if (found) return value.subspan(at, *size);
    at += *size;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::size_t> value_size(BytesView bytes) { return size_of(bytes, 0); }

ValuePath::ValuePath(std::string_view pointer) {
  for (std::size_t at = 0; at < pointer.size();) {
    const std::size_t end = std::min(pointer.find('/', at + 1), pointer.size());
    std::string& step = steps_.emplace_back();
    for (std::size_t i = at + 1; i < end; ++i) {
      if (pointer[i] == '~' && i + 1 < end) {
        step += pointer[++i] == '0' ? '~' : '/';
      } else {
        step += pointer[i];
      }
    }
    at = end;
  }
}

std::optional<BytesView> ValuePath::find(BytesView value) const {
  for (const std::string& step : steps_) {
    const auto found = child(value, step);
    if (!found) return std::nullopt;
    value = *found;
  }
  return value;
}

}  // namespace weir::wire
