// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/key.h"

#include <fmt/format.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "sdk/wire/head.h"

namespace weir::wire {
namespace {

constexpr int kDepthMax = 32;

void put_tag(Bytes& out, unsigned tag) { out.push_back(static_cast<std::byte>(tag)); }

void put_big_endian(Bytes& out, std::uint64_t value, std::size_t width) {
  for (std::size_t i = width; i-- > 0;) out.push_back(static_cast<std::byte>(value >> (8 * i)));
}

void put_unsigned(Bytes& out, std::uint64_t value) {
  if (value < 0x80) return put_tag(out, static_cast<unsigned>(value));
  const std::size_t width = value <= 0xff ? 1 : value <= 0xffff ? 2 : value <= 0xffffffff ? 4 : 8;
  put_tag(out, 0xcc + static_cast<unsigned>(std::countr_zero(width)));
  put_big_endian(out, value, width);
}

void put_negative(Bytes& out, std::int64_t value) {
  if (value >= -32) return put_tag(out, static_cast<std::uint8_t>(value));
  const std::size_t width = value >= INT8_MIN ? 1 : value >= INT16_MIN ? 2 : value >= INT32_MIN ? 4 : 8;
  put_tag(out, 0xd0 + static_cast<unsigned>(std::countr_zero(width)));
  put_big_endian(out, static_cast<std::uint64_t>(value), width);
}

void put_float(Bytes& out, double value) {
  if (value == 0) value = 0.0;
  const auto narrow = static_cast<float>(value);
  if (static_cast<double>(narrow) == value) {
    put_tag(out, 0xca);
    return put_big_endian(out, std::bit_cast<std::uint32_t>(narrow), 4);
  }
  put_tag(out, 0xcb);
  put_big_endian(out, std::bit_cast<std::uint64_t>(value), 8);
}

/// `fix` is the tag of the form with the length in the tag, for lengths below `fix_max`; `tags` those of 1, 2, 4 bytes.
void put_length(Bytes& out, std::uint64_t length, unsigned fix, std::uint64_t fix_max, const unsigned (&tags)[3]) {
  if (length < fix_max) return put_tag(out, fix | static_cast<unsigned>(length));
  const std::size_t form = length <= 0xff && tags[0] != 0 ? 0 : length <= 0xffff ? 1 : 2;
  put_tag(out, tags[form]);
  put_big_endian(out, length, std::size_t{1} << form);
}

/// Appends the canonical form of the value that starts `bytes`; its size in `bytes` goes to `used`.
Status canonical(BytesView bytes, Bytes& out, std::size_t& used, int depth) {
  using Kind = Head::Kind;
  const auto head = read_head(bytes);
  if (!head || depth > kDepthMax) return {Code::kInvalid, "a key that is no MessagePack value, or nested too deep"};
  used = head->size;
  switch (head->kind) {
    case Kind::kNothing:
      put_tag(out, 0xc0);
      return {};
    case Kind::kBoolean:
      put_tag(out, 0xc2 + static_cast<unsigned>(head->unsigned_));
      return {};
    case Kind::kUnsigned:
      put_unsigned(out, head->unsigned_);
      return {};
    case Kind::kNegative:
      put_negative(out, head->negative);
      return {};
    case Kind::kFloat:
      if (std::isnan(head->real)) return {Code::kInvalid, "NaN cannot be a key"};
      put_float(out, head->real);
      return {};
    case Kind::kText:
    case Kind::kBinary: {
      if (head->unsigned_ > bytes.size() - head->size) return {Code::kInvalid, "a key that is cut short"};
      if (head->kind == Kind::kText) {
        put_length(out, head->unsigned_, 0xa0, 32, {0xd9, 0xda, 0xdb});
      } else {
        put_length(out, head->unsigned_, 0, 0, {0xc4, 0xc5, 0xc6});
      }
      const BytesView content = bytes.subspan(head->size, head->unsigned_);
      out.insert(out.end(), content.begin(), content.end());
      used += content.size();
      return {};
    }
    case Kind::kArray:
      if (head->unsigned_ > bytes.size()) return {Code::kInvalid, "a key that is cut short"};
      put_length(out, head->unsigned_, 0x90, 16, {0, 0xdc, 0xdd});
      for (std::uint64_t i = 0; i < head->unsigned_; ++i) {
        std::size_t child = 0;
        if (Status status = canonical(bytes.subspan(used), out, child, depth + 1); !status.ok()) return status;
        used += child;
      }
      return {};
    case Kind::kMap:
      return {Code::kInvalid, "a map cannot be a key"};
    case Kind::kExtension:
      return {Code::kInvalid, "a MessagePack extension cannot be a key"};
  }
  return {Code::kInvalid, "a key of an unknown kind"};
}

}  // namespace

std::optional<Ordinal> ordinal_of_key(BytesView key) {
  using Kind = Head::Kind;
  const auto head = read_head(key);
  if (!head) return std::nullopt;
  if (head->kind == Kind::kUnsigned) return head->unsigned_;
  if (head->kind == Kind::kNegative) return head->negative;
  if (head->kind == Kind::kFloat && !std::isnan(head->real)) return head->real;
  if (head->kind == Kind::kText && head->size + head->unsigned_ == key.size()) return as_text(key.subspan(head->size));
  return std::nullopt;
}

Status canonical_key(BytesView key, Bytes& out) {
  std::size_t used = 0;
  if (Status status = canonical(key, out, used, 0); !status.ok()) return status;
  if (used != key.size()) return {Code::kInvalid, "a key of more than one MessagePack value"};
  return {};
}

bool is_plainly_canonical(BytesView key) {
  if (key.empty()) return false;
  const auto tag = static_cast<std::uint8_t>(key[0]);
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(key[i]); };
  if (tag < 0x80 || tag >= 0xe0 || tag == 0xc0 || tag == 0xc2 || tag == 0xc3) return key.size() == 1;
  if (tag >= 0xa0 && tag < 0xc0) return key.size() == 1 + (tag & 0x1fU);
  switch (tag) {
    case 0xcc:
      return key.size() == 2 && at(1) >= 0x80;
    case 0xcd:
      return key.size() == 3 && at(1) != 0;
    case 0xce:
      return key.size() == 5 && (at(1) != 0 || at(2) != 0);
    case 0xcf:
      return key.size() == 9 && (at(1) != 0 || at(2) != 0 || at(3) != 0 || at(4) != 0);
    case 0xd9:
      return key.size() >= 2 && at(1) >= 32 && key.size() == 2U + at(1);
    default:
      return false;
  }
}

std::uint64_t key_hash(BytesView canonical) { return XXH3_64bits(canonical.data(), canonical.size()); }

Shard shard_of_hash(std::uint64_t hash, std::uint32_t shards) {
  __extension__ using Wide = unsigned __int128;
  return Shard(static_cast<std::uint32_t>((static_cast<Wide>(hash) * shards) >> 64));
}

Shard shard_by_hash(BytesView canonical, std::uint32_t shards) { return shard_of_hash(key_hash(canonical), shards); }

Result<Shard> shard_by_modulo(BytesView canonical, std::uint32_t shards) {
  const auto head = read_head(canonical);
  if (head && head->kind == Head::Kind::kUnsigned) return Shard(static_cast<std::uint32_t>(head->unsigned_ % shards));
  if (head && head->kind == Head::Kind::kNegative) {
    const std::int64_t rest = head->negative % static_cast<std::int64_t>(shards);
    return Shard(static_cast<std::uint32_t>(rest < 0 ? rest + shards : rest));
  }
  return {Code::kInvalid, "the stream is partitioned by modulo, but the key is no integer"};
}

Result<Shard> shard_by_range(BytesView canonical, std::span<const Boundary> boundaries) {
  const auto key = ordinal_of_key(canonical);
  const bool texts = !boundaries.empty() && is_text(ordinal_of(boundaries.front()));
  if (!key || is_text(*key) != texts) {
    return {Code::kInvalid, fmt::format("the stream is partitioned by range of {}, but the key is no {}",
                                        texts ? "strings" : "numbers", texts ? "string" : "number")};
  }
  const auto behind = std::upper_bound(
      boundaries.begin(), boundaries.end(), *key,
      [](const Ordinal& a, const Boundary& b) { return compare(a, ordinal_of(b)) == std::weak_ordering::less; });
  return Shard(static_cast<std::uint32_t>(behind - boundaries.begin()));
}

Shard shard_by_learned_range(const Ordinal& key, std::span<const Boundary> boundaries) {
  const auto behind =
      std::upper_bound(boundaries.begin(), boundaries.end(), key,
                       [](const Ordinal& a, const Boundary& b) { return order_of(a, ordinal_of(b)) < 0; });
  return Shard(static_cast<std::uint32_t>(behind - boundaries.begin()));
}

Result<Shard> shard_by_learned_range(BytesView canonical, std::span<const Boundary> boundaries) {
  const auto key = ordinal_of_key(canonical);
  if (!key) return {Code::kInvalid, "the stream is partitioned by range, but the key is neither a number nor a string"};
  return shard_by_learned_range(*key, boundaries);
}

KeyFields::KeyFields(const Stream& stream) : pointers_(stream.key), list_(stream.key_is_list) {
  for (const std::string& pointer : stream.key) paths_.emplace_back(pointer);
}

Status KeyFields::extract(BytesView value, Bytes& out) const {
  if (list_) put_length(out, paths_.size(), 0x90, 16, {0, 0xdc, 0xdd});
  for (std::size_t i = 0; i < paths_.size(); ++i) {
    const auto field = paths_[i].find(value);
    if (!field)
      return {Code::kInvalid, fmt::format("the value has no field \"{}\", which is the stream's key", pointers_[i])};
    out.insert(out.end(), field->begin(), field->end());
  }
  return {};
}

}  // namespace weir::wire
