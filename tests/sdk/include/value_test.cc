// SPDX-License-Identifier: Apache-2.0
#include "weir/value.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <optional>
#include <random>
#include <vector>

#include "weir/encode.h"

namespace weir {
namespace {

template <typename T>
std::string by_weir(const T& value) {
  std::string bytes;
  encode(bytes, value);
  return bytes;
}

template <typename T>
std::string by_msgpack_c(const T& value) {
  msgpack::sbuffer buffer;
  msgpack::pack(buffer, value);
  return {buffer.data(), buffer.size()};
}

ValueView view(const std::string& bytes) { return ValueView(std::as_bytes(std::span(bytes))); }

std::vector<std::int64_t> integers_at_every_edge() {
  std::vector<std::int64_t> integers{0, 1, -1, INT64_MIN, INT64_MAX};
  for (int bit = 1; bit < 63; ++bit) {
    for (const std::int64_t near : {-1, 0, 1}) {
      integers.push_back((std::int64_t{1} << bit) + near);
      integers.push_back(-(std::int64_t{1} << bit) + near);
    }
  }
  for (const std::int64_t near : {-33, -32, -31}) integers.push_back(near);
  return integers;
}

TEST(Encode, WritesTheBytesThatMsgpackCWrites) {
  for (const std::int64_t integer : integers_at_every_edge()) {
    EXPECT_EQ(by_weir(integer), by_msgpack_c(integer)) << integer;
    const auto natural = static_cast<std::uint64_t>(integer);
    EXPECT_EQ(by_weir(natural), by_msgpack_c(natural)) << natural;
  }
  for (const std::size_t size : {0, 1, 31, 32, 255, 256, 65535, 65536}) {
    const std::string text(size, 'x');
    EXPECT_EQ(by_weir(text), by_msgpack_c(text)) << size;
    EXPECT_EQ(by_weir(std::string_view(text)), by_msgpack_c(text)) << size;
    const std::vector<char> binary(size, 'x');
    EXPECT_EQ(by_weir(BytesView(std::as_bytes(std::span(binary)))), by_msgpack_c(binary)) << size;
  }
  EXPECT_EQ(by_weir(1.5), by_msgpack_c(1.5));
  EXPECT_EQ(by_weir(1.5F), by_msgpack_c(1.5F));
  EXPECT_EQ(by_weir(true), by_msgpack_c(true));
  EXPECT_EQ(by_weir(nullptr), by_msgpack_c(msgpack::type::nil_t()));
  EXPECT_EQ(by_weir("literal"), by_msgpack_c(std::string("literal")));
}

TEST(Value, ReadsEveryIntegerFromEveryWidthThatHoldsIt) {
  for (const std::int64_t integer : integers_at_every_edge()) {
    EXPECT_EQ(view(by_weir(integer)).as<std::int64_t>(), integer);
    std::string wide;
    encode_tagged(wide, 0xd3, static_cast<std::uint64_t>(integer), 8);
    EXPECT_EQ(view(wide).as<std::int64_t>(), integer);
    if (integer >= 0) {
      EXPECT_EQ(view(by_weir(integer)).as<std::uint64_t>(), static_cast<std::uint64_t>(integer));
    }
    if (integer < INT8_MIN || integer > INT8_MAX) {
      EXPECT_THROW(static_cast<void>(view(by_weir(integer)).as<std::int8_t>()), DecodeError) << integer;
    } else {
      EXPECT_EQ(view(by_weir(integer)).as<std::int8_t>(), integer);
    }
    if (integer < 0) {
      EXPECT_THROW(static_cast<void>(view(by_weir(integer)).as<std::uint64_t>()), DecodeError);
    }
  }
}

TEST(Value, ReadsWhatMsgpackCPacked) {
  const std::map<std::string, std::vector<double>> nested{{"a", {1, 2.5}}, {"b", {}}};
  EXPECT_EQ((view(by_msgpack_c(nested)).as<std::map<std::string, std::vector<double>>>()), nested);
  EXPECT_EQ(view(by_weir(nullptr)).as<std::optional<int>>(), std::nullopt);
  EXPECT_EQ(view(by_weir(7)).as<double>(), 7.0);
  const std::string text = by_weir("seven");
  EXPECT_EQ(view(text).as<std::string_view>(), "seven");
  const std::string list = by_msgpack_c(std::vector<std::string>{"one", "two"});
  EXPECT_THAT(view(list).as<std::vector<std::string_view>>(), testing::ElementsAre("one", "two"));
}

/// Holds a value within the bytes of another, which its conversion decodes, or refuses.
struct Envelope {
  std::string content;
  std::vector<int> unpacked;
  std::vector<int> behind;

  template <typename Packer>
  void msgpack_pack(Packer& packer) const {
    packer.pack_array(2);
    packer.pack(content);
    packer.pack(behind);
  }
  void msgpack_unpack(const msgpack::object& object) {
    content = object.via.array.ptr[0].as<std::string>();
    unpacked = view(content).as<std::vector<int>>();
    behind = object.via.array.ptr[1].as<std::vector<int>>();
  }
};

TEST(Value, IsDecodedWithinTheConversionOfAnother) {
  const Envelope envelope{by_msgpack_c(std::vector<int>{1, 2, 3}), {}, std::vector<int>(5000, 7)};
  const std::string bytes = by_msgpack_c(envelope);
  const std::string broken = by_msgpack_c(Envelope{by_weir("no list"), {}, {4}});
  for (int round = 0; round < 3; ++round) {
    const auto found = view(bytes).as<Envelope>();
    EXPECT_THAT(found.unpacked, testing::ElementsAre(1, 2, 3));
    EXPECT_EQ(found.behind, envelope.behind);
    EXPECT_THROW(static_cast<void>(view(broken).as<Envelope>()), DecodeError);
  }
}

TEST(Value, SaysWhatItFoundWhereItIsAskedForSomethingElse) {
  const auto sentence = [](const std::string& bytes, auto type) -> std::string {
    try {
      static_cast<void>(view(bytes).as<decltype(type)>());
    } catch (const DecodeError& error) {
      return error.what();
    }
    return "nothing was wrong";
  };
  EXPECT_EQ(sentence(by_weir("seven"), 0), "expected an integer, found the string \"seven\"");
  EXPECT_EQ(sentence(by_weir(1.5), 0), "expected an integer, found the float 1.500000");
  EXPECT_EQ(sentence(by_weir(300), std::uint8_t{0}), "the integer 300 does not fit unsigned 8 bits");
  EXPECT_EQ(sentence(by_weir(7), std::string()), "expected a string, found the integer 7");
  EXPECT_EQ(sentence(by_weir(nullptr), 0.0), "expected a number, found nil");
  EXPECT_EQ(sentence(by_weir(7), std::vector<int>()),
            "expected a value of the type that the stage asks for, found the integer 7");
  EXPECT_EQ(sentence("\xc1", 0), "the bytes are no MessagePack");
}

TEST(Token, NeverReadsOutsideMalformedBytes) {
  std::mt19937 random(20240601);
  for (int round = 0; round < 200'000; ++round) {
    std::string bytes(random() % 12, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    const std::string exact(bytes);  // its own allocation, so that AddressSanitizer sees a byte too far
    TokenReader reader(std::as_bytes(std::span(exact)));
    static_cast<void>(reader.skip());
  }
}

}  // namespace
}  // namespace weir
