// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <msgpack.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sdk/base/bytes.h"
#include "sdk/base/result.h"

namespace weir::wire {

/// What programs outside ask is in maps that name their fields: it goes up only where a client that does not know of it
/// would do harm. Said at "open"; a client that says none speaks version 1.
inline constexpr std::int64_t kClientVersion = 1;

/// Builds a message of the broker's ROUTER: a MessagePack map whose "op" says what it is.
class MapWriter {
 public:
  explicit MapWriter(std::string_view op) { put("op", op); }
  template <typename T>
  void put(std::string_view name, const T& value) {
    msgpack::packer<msgpack::sbuffer> packer(fields_);
    packer.pack(name);
    packer.pack(value);
    ++count_;
  }
  /// `value` is MessagePack already.
  void put_packed(std::string_view name, BytesView value) {
    msgpack::packer<msgpack::sbuffer>(fields_).pack(name);
    fields_.write(reinterpret_cast<const char*>(value.data()), value.size());
    ++count_;
  }
  Bytes finish() && {
    msgpack::sbuffer head;
    msgpack::packer<msgpack::sbuffer>(head).pack_map(count_);
    Bytes bytes;
    ByteWriter writer(bytes);
    writer.raw(as_bytes({head.data(), head.size()}));
    writer.raw(as_bytes({fields_.data(), fields_.size()}));
    return bytes;
  }

 private:
  msgpack::sbuffer fields_;
  std::uint32_t count_ = 0;
};

/// How deep a message may be nested.
inline constexpr std::size_t kMapDepthMax = 32;

/// Proves that a message holds as many values as it announces, and no deeper than it may, before any memory is taken
/// for them: five bytes can announce four thousand million, which msgpack-c would make room for, and each further byte
/// can open an array, which it remembers until that ends.
class Announced final : public msgpack::null_visitor {
 public:
  explicit Announced(std::size_t bytes) : bytes_left_(bytes) {}
  bool start_array(std::uint32_t values) { return ++depth_ <= kMapDepthMax && take(values); }
  bool end_array() { return leave(); }
  bool start_map(std::uint32_t pairs) { return ++depth_ <= kMapDepthMax && take(std::uint64_t{2} * pairs); }
  bool end_map() { return leave(); }
  [[nodiscard]] static bool whole(BytesView message) {
    Announced visitor(message.size());
    std::size_t used = 0;
    return msgpack::parse(reinterpret_cast<const char*>(message.data()), message.size(), used, visitor) &&
           used == message.size();
  }

 private:
  bool take(std::uint64_t values) {
    // Each takes a byte at least.
    if (values > bytes_left_) return false;
    bytes_left_ -= values;
    return true;
  }
  bool leave() {
    --depth_;
    return true;
  }
  std::uint64_t bytes_left_;
  std::size_t depth_ = 0;
};

/// A message of the ROUTER, read. Missing fields and fields of another type give the fallback; strangers send anything.
class MapReader {
 public:
  /// Errors: kInvalid where the bytes are no MessagePack map with string keys (nested at most kMapDepthMax deep).
  static Result<MapReader> parse(BytesView message) {
    try {
      if (!Announced::whole(message)) return {Code::kInvalid, "a message that is no MessagePack, or is cut short"};
      MapReader reader;
      std::size_t used = 0;
      const msgpack::unpack_limit limit(1 << 20, 1 << 20, 1U << 31, 1U << 31, 1 << 16, kMapDepthMax);
      reader.handle_ =
          msgpack::unpack(reinterpret_cast<const char*>(message.data()), message.size(), used, nullptr, nullptr, limit);
      if (used != message.size() || reader.handle_->type != msgpack::type::MAP) {
        return {Code::kInvalid, "a message that is no MessagePack map"};
      }
      return reader;
    } catch (const std::exception& error) {
      return {Code::kInvalid, std::string("a message that is no MessagePack: ") + error.what()};
    }
  }

  [[nodiscard]] std::string op() const { return text("op"); }
  /// The field's value, or null where it is missing. Borrowed from this reader.
  [[nodiscard]] const msgpack::object* find(std::string_view name) const {
    const auto& map = handle_->via.map;
    for (std::uint32_t i = 0; i < map.size; ++i) {
      const msgpack::object& key = map.ptr[i].key;
      if (key.type == msgpack::type::STR && std::string_view(key.via.str.ptr, key.via.str.size) == name)
        return &map.ptr[i].val;
    }
    return nullptr;
  }
  [[nodiscard]] std::string text(std::string_view name) const {
    const msgpack::object* value = find(name);
    return value != nullptr && value->type == msgpack::type::STR ? std::string(value->via.str.ptr, value->via.str.size)
                                                                 : std::string();
  }
  [[nodiscard]] std::int64_t integer(std::string_view name, std::int64_t fallback) const {
    const msgpack::object* value = find(name);
    if (value == nullptr) return fallback;
    if (value->type == msgpack::type::POSITIVE_INTEGER) return static_cast<std::int64_t>(value->via.u64);
    return value->type == msgpack::type::NEGATIVE_INTEGER ? value->via.i64 : fallback;
  }
  [[nodiscard]] bool boolean(std::string_view name) const {
    const msgpack::object* value = find(name);
    return value != nullptr && value->type == msgpack::type::BOOLEAN && value->via.boolean;
  }

 private:
  msgpack::object_handle handle_;
};

}  // namespace weir::wire
