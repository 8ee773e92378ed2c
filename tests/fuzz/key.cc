// SPDX-License-Identifier: Apache-2.0
// Keys, and the values that hold them: MessagePack from strangers, read by our own code without allocating. msgpack-c
// reads the same bytes and must agree on where a value ends and what it means.
#include "sdk/wire/key.h"

#include <algorithm>
#include <msgpack.hpp>
#include <optional>
#include <string_view>

#include "tests/fuzz/fuzz.h"

namespace weir::fuzz {
namespace {

/// Where the first value ends, says msgpack-c; nothing where it is cut short, malformed, or nested above `depth_max`.
class Extent final : public msgpack::null_visitor {
 public:
  bool start_array(std::uint32_t) { return enter(); }
  bool start_map(std::uint32_t) { return enter(); }
  bool end_array() { return leave(); }
  bool end_map() { return leave(); }
  static std::optional<std::size_t> of(BytesView bytes, int depth_max) {
    Extent extent;
    extent.depth_max_ = depth_max;
    std::size_t used = 0;
    if (!msgpack::parse(reinterpret_cast<const char*>(bytes.data()), bytes.size(), used, extent)) return std::nullopt;
    return used;
  }

 private:
  bool enter() { return ++depth_ <= depth_max_; }
  bool leave() { return --depth_ >= 0; }
  int depth_ = 0;
  int depth_max_ = 0;
};

bool is_float(const msgpack::object& value) {
  return value.type == msgpack::type::FLOAT32 || value.type == msgpack::type::FLOAT64;
}

/// The same key, however long it is written. Texts are not left to msgpack-c: of empty ones it passes null to memcmp.
bool same(const msgpack::object& a, const msgpack::object& b) {
  if (is_float(a) && is_float(b)) return a.via.f64 == b.via.f64;
  if (a.type != b.type) return false;
  if (a.type == msgpack::type::STR)
    return std::string_view(a.via.str.ptr, a.via.str.size) == std::string_view(b.via.str.ptr, b.via.str.size);
  if (a.type == msgpack::type::BIN)
    return std::string_view(a.via.bin.ptr, a.via.bin.size) == std::string_view(b.via.bin.ptr, b.via.bin.size);
  if (a.type != msgpack::type::ARRAY) return a == b;
  return std::equal(a.via.array.ptr, a.via.array.ptr + a.via.array.size, b.via.array.ptr,
                    b.via.array.ptr + b.via.array.size, same);
}

msgpack::object_handle unpacked(BytesView bytes) {
  return msgpack::unpack(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void check_size(BytesView bytes) {
  const auto size = wire::value_size(bytes);
  if (size) {
    WEIR_CHECK(*size <= bytes.size(), "a value ends within its bytes");
    WEIR_CHECK(Extent::of(bytes, 1 << 20) == size, "msgpack-c sees the value end at the same place");
  } else {
    WEIR_CHECK(!Extent::of(bytes, 30), "what msgpack-c reads, and is not nested too deep, is a value");
  }
}

void check_key(BytesView bytes) {
  Bytes canonical;
  const bool taken = wire::canonical_key(bytes, canonical).ok();
  const bool plain = wire::is_plainly_canonical(bytes);
  WEIR_CHECK(!plain || (taken && std::ranges::equal(canonical, bytes)),
             "a key that is plainly canonical stays as it is");
  if (!taken) return;
  WEIR_CHECK(canonical.size() <= bytes.size(), "the shortest form is not longer");
  WEIR_CHECK(wire::value_size(canonical) == canonical.size(), "the shortest form is one value");
  Bytes again;
  WEIR_CHECK(wire::canonical_key(canonical, again).ok() && again == canonical, "the shortest form is its own");
  WEIR_CHECK(same(*unpacked(bytes), *unpacked(canonical)), "the shortest form means the same");
  WEIR_CHECK(wire::shard_by_hash(canonical, 7).value() < 7, "a shard is one of the stream's");
  if (const auto shard = wire::shard_by_modulo(canonical, 7); shard.ok())
    WEIR_CHECK(shard->value() < 7, "a shard is one of the stream's");
  static const std::vector<Boundary> numbers = {std::int64_t{-9}, 0.5, std::uint64_t{1} << 60};
  static const std::vector<Boundary> texts = {"a", "text", "\xff"};
  const auto by_number = wire::shard_by_range(canonical, numbers);
  const auto by_text = wire::shard_by_range(canonical, texts);
  WEIR_CHECK(!by_number.ok() || by_number->value() < 4, "a shard is one of the stream's");
  WEIR_CHECK(!by_text.ok() || by_text->value() < 4, "a shard is one of the stream's");
  const auto key = unpacked(canonical);
  const bool number =
      is_float(*key) || key->type == msgpack::type::POSITIVE_INTEGER || key->type == msgpack::type::NEGATIVE_INTEGER;
  WEIR_CHECK(by_number.ok() == number, "numbers, and nothing else, have a place among numbers");
  WEIR_CHECK(by_text.ok() == (key->type == msgpack::type::STR), "and texts among texts");
}

void check_field(BytesView value) {
  static const wire::KeyFields fields = [] {
    Stream stream;
    stream.key = {"/a", "/b/1"};
    stream.key_is_list = true;
    return wire::KeyFields(stream);
  }();
  Bytes key;
  if (fields.extract(value, key).ok())
    WEIR_CHECK(wire::value_size(key) == key.size(), "the fields of a value make one key");
}

}  // namespace

std::vector<Bytes> seeds() {
  msgpack::sbuffer all;
  msgpack::packer<msgpack::sbuffer> packer(all);
  std::vector<Bytes> list;
  const auto take = [&](std::uint8_t which) {
    list.push_back(chosen(which, as_bytes({all.data(), all.size()})));
    all.clear();
  };
  packer.pack_array(7).pack("text").pack(-1).pack(1e9).pack(1ULL << 40).pack(true).pack_nil().pack_float(0.5F);
  take(0);
  packer.pack_map(2).pack("a").pack(300);
  packer.pack("b").pack_array(2).pack("x");
  packer.pack_bin(3).pack_bin_body("abc", 3);
  take(1);
  packer.pack_array(2).pack_ext(4, 1).pack_ext_body("1234", 4);
  packer.pack_ext(17, 2).pack_ext_body("12345678901234567", 17);
  take(0);
  packer.pack(std::string(40, 'x'));
  take(0);
  return list;
}

}  // namespace weir::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const weir::BytesView body = weir::fuzz::input_of(bytes + 1, size - 1);
  weir::fuzz::check_size(body);
  if (bytes[0] % 2 == 0) {
    weir::fuzz::check_key(body);
  } else {
    weir::fuzz::check_field(body);
  }
  return 0;
}
