// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/key.h"

#include <gtest/gtest.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <initializer_list>
#include <random>
#include <string>
#include <utility>

namespace weir::wire {
namespace {

Bytes bytes(std::initializer_list<unsigned> values) {
  Bytes out;
  for (const unsigned value : values) out.push_back(static_cast<std::byte>(value));
  return out;
}

Bytes repeated(std::initializer_list<unsigned> head, std::size_t count, unsigned value) {
  Bytes out = bytes(head);
  out.insert(out.end(), count, static_cast<std::byte>(value));
  return out;
}

Bytes canonical(const Bytes& key) {
  Bytes out;
  const Status status = canonical_key(key, out);
  EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message);
  return out;
}

bool refused(const Bytes& key) {
  Bytes out;
  const Status status = canonical_key(key, out);
  return !status.ok() && status.error().code == Code::kInvalid;
}

TEST(CanonicalKey, BringsEveryFormToItsShortest) {
  const std::pair<Bytes, Bytes> cases[] = {
      {bytes({0xc0}), bytes({0xc0})},
      {bytes({0xc2}), bytes({0xc2})},
      {bytes({0xc3}), bytes({0xc3})},
      // One number in all its forms.
      {bytes({0x05}), bytes({0x05})},
      {bytes({0xcc, 5}), bytes({0x05})},
      {bytes({0xcd, 0, 5}), bytes({0x05})},
      {bytes({0xce, 0, 0, 0, 5}), bytes({0x05})},
      {bytes({0xcf, 0, 0, 0, 0, 0, 0, 0, 5}), bytes({0x05})},
      {bytes({0xd0, 5}), bytes({0x05})},
      {bytes({0xd1, 0, 5}), bytes({0x05})},
      {bytes({0xd2, 0, 0, 0, 5}), bytes({0x05})},
      {bytes({0xd3, 0, 0, 0, 0, 0, 0, 0, 5}), bytes({0x05})},
      // The borders between forms.
      {bytes({0xcd, 0, 0x7f}), bytes({0x7f})},
      {bytes({0xcd, 0, 0x80}), bytes({0xcc, 0x80})},
      {bytes({0xd1, 0, 0xff}), bytes({0xcc, 0xff})},
      {bytes({0xce, 0, 0, 1, 0}), bytes({0xcd, 1, 0})},
      {bytes({0xce, 0, 0, 0xff, 0xff}), bytes({0xcd, 0xff, 0xff})},
      {bytes({0xcf, 0, 0, 0, 0, 0, 1, 0, 0}), bytes({0xce, 0, 1, 0, 0})},
      {bytes({0xcf, 0, 0, 0, 1, 0, 0, 0, 0}), bytes({0xcf, 0, 0, 0, 1, 0, 0, 0, 0})},
      {bytes({0xff}), bytes({0xff})},
      {bytes({0xd0, 0xe0}), bytes({0xe0})},
      {bytes({0xd0, 0xdf}), bytes({0xd0, 0xdf})},
      {bytes({0xd1, 0xff, 0x80}), bytes({0xd0, 0x80})},
      {bytes({0xd1, 0xff, 0x7f}), bytes({0xd1, 0xff, 0x7f})},
      {bytes({0xd2, 0xff, 0xff, 0x80, 0}), bytes({0xd1, 0x80, 0})},
      {bytes({0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}), bytes({0xff})},
      {bytes({0xd3, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff}),
       bytes({0xd3, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff})},
      // Floats stay floats.
      {bytes({0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0}), bytes({0xca, 0x3f, 0x80, 0, 0})},
      {bytes({0xcb, 0x3f, 0xb9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a}),
       bytes({0xcb, 0x3f, 0xb9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a})},
      {bytes({0xca, 0x80, 0, 0, 0}), bytes({0xca, 0, 0, 0, 0})},
      {bytes({0xcb, 0x80, 0, 0, 0, 0, 0, 0, 0}), bytes({0xca, 0, 0, 0, 0})},
      {bytes({0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0}), bytes({0xca, 0x7f, 0x80, 0, 0})},
      // Text and bytes.
      {bytes({0xd9, 1, 'a'}), bytes({0xa1, 'a'})},
      {bytes({0xda, 0, 1, 'a'}), bytes({0xa1, 'a'})},
      {bytes({0xdb, 0, 0, 0, 1, 'a'}), bytes({0xa1, 'a'})},
      {bytes({0xda, 0, 0}), bytes({0xa0})},
      {repeated({0xda, 0, 31}, 31, 'x'), repeated({0xbf}, 31, 'x')},
      {repeated({0xda, 0, 32}, 32, 'x'), repeated({0xd9, 32}, 32, 'x')},
      {repeated({0xdb, 0, 0, 1, 0}, 256, 'x'), repeated({0xda, 1, 0}, 256, 'x')},
      {repeated({0xdb, 0, 1, 0, 0}, 65536, 'x'), repeated({0xdb, 0, 1, 0, 0}, 65536, 'x')},
      {bytes({0xc5, 0, 1, 9}), bytes({0xc4, 1, 9})},
      {bytes({0xc6, 0, 0, 0, 1, 9}), bytes({0xc4, 1, 9})},
      {repeated({0xc6, 0, 0, 1, 0}, 256, 1), repeated({0xc5, 1, 0}, 256, 1)},
      // Arrays, and what is in them.
      {bytes({0xdc, 0, 2, 0xcc, 1, 0xd9, 1, 'a'}), bytes({0x92, 1, 0xa1, 'a'})},
      {bytes({0xdd, 0, 0, 0, 1, 0xdc, 0, 0}), bytes({0x91, 0x90})},
      {repeated({0xdd, 0, 0, 0, 16}, 16, 1), repeated({0xdc, 0, 16}, 16, 1)},
  };
  for (const auto& [key, shortest] : cases) {
    EXPECT_EQ(canonical(key), shortest) << "tag " << static_cast<unsigned>(key[0]) << ", " << key.size() << " bytes";
    EXPECT_EQ(canonical(shortest), shortest);
    if (is_plainly_canonical(key)) {
      EXPECT_EQ(key, shortest) << "said to be canonical";
    }
  }
}

TEST(CanonicalKey, RefusesWhatIsNoKey) {
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(refused(bytes({0xc1})));
  EXPECT_TRUE(refused(bytes({0xca, 0x7f, 0xc0, 0, 0}))) << "NaN";
  EXPECT_TRUE(refused(bytes({0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 1}))) << "NaN";
  EXPECT_TRUE(refused(bytes({0xcb, 0xff, 0xf8, 0, 0, 0, 0, 0, 0}))) << "-NaN";
  EXPECT_TRUE(refused(bytes({0x91, 0xca, 0x7f, 0xc0, 0, 0}))) << "NaN within";
  EXPECT_TRUE(refused(bytes({0x80})));
  EXPECT_TRUE(refused(bytes({0xde, 0, 0})));
  EXPECT_TRUE(refused(bytes({0xdf, 0, 0, 0, 0})));
  EXPECT_TRUE(refused(bytes({0x91, 0x81, 1, 1}))) << "a map within";
  EXPECT_TRUE(refused(bytes({0xd4, 1, 1})));
  EXPECT_TRUE(refused(bytes({0xc7, 1, 1, 1})));
  EXPECT_TRUE(refused(bytes({0x01, 0x01}))) << "two values";
  EXPECT_TRUE(refused(bytes({0xdd, 0xff, 0xff, 0xff, 0xff, 1}))) << "a count that lies";
  Bytes deep(1000, std::byte{0x91});
  deep.push_back(std::byte{1});
  EXPECT_TRUE(refused(deep));
}

TEST(CanonicalKey, RefusesEveryTruncation) {
  for (const Bytes& key :
       {bytes({0xcd, 1, 0}), bytes({0xcf, 1, 2, 3, 4, 5, 6, 7, 8}), bytes({0xcb, 1, 2, 3, 4, 5, 6, 7, 8}),
        bytes({0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0}), bytes({0xda, 0, 2, 'a', 'b'}),
        bytes({0x93, 1, 0xa2, 'a', 'b', 0xc4, 1, 7}), bytes({0xdd, 0, 0, 0, 2, 1, 2})}) {
    EXPECT_FALSE(refused(key));
    for (std::size_t size = 0; size < key.size(); ++size) {
      EXPECT_TRUE(refused(Bytes(key.begin(), key.begin() + static_cast<std::ptrdiff_t>(size)))) << size;
    }
  }
}

// Whatever is taken is a fixed point, and "plainly canonical" is never said of what is not.
TEST(CanonicalKey, IsIdempotentOnNoise) {
  std::mt19937_64 random(1);
  int taken = 0;
  for (int i = 0; i < 200'000; ++i) {
    Bytes noise(1 + random() % 12);
    for (std::byte& byte : noise) byte = static_cast<std::byte>(random());
    Bytes once;
    if (!canonical_key(noise, once).ok()) continue;
    ++taken;
    ASSERT_EQ(canonical(once), once);
    ASSERT_EQ(value_size(once), once.size());
    if (is_plainly_canonical(noise)) {
      ASSERT_EQ(noise, once);
    }
  }
  EXPECT_GT(taken, 1000);
}

TEST(ShardByHash, IsTheHighPartOfTheProduct) {
  // XXH3-64 of nothing is 0x2d06800538d394c2 (xxHash's own test vectors).
  EXPECT_EQ(shard_by_hash({}, 1), Shard(0));
  EXPECT_EQ(shard_by_hash({}, 32), Shard(0x2d >> 3));
  EXPECT_EQ(shard_by_hash({}, 256), Shard(0x2d));
  EXPECT_EQ(shard_by_hash({}, 65536), Shard(0x2d06));
  for (unsigned number = 0; number < 1000; ++number) {
    const Bytes key = bytes({0xcd, number >> 8, number & 0xff});
    const std::uint64_t hash = XXH3_64bits(key.data(), key.size());
    for (const std::uint32_t shards : {1U, 2U, 3U, 32U, 1000U, 4096U}) {
      // high64(hash * shards) in 32 bit halves.
      const std::uint64_t low = (hash & 0xffffffff) * shards;
      const std::uint64_t high = (hash >> 32) * shards;
      ASSERT_EQ(shard_by_hash(key, shards).value(), (high + (low >> 32)) >> 32);
    }
  }
}

TEST(ShardByModulo, IsTheMathematicalRemainder) {
  const auto shard = [](std::initializer_list<unsigned> key, std::uint32_t shards) {
    const auto found = shard_by_modulo(bytes(key), shards);
    return found.ok() ? static_cast<std::int64_t>(found->value()) : -1;
  };
  EXPECT_EQ(shard({0x00}, 32), 0);
  EXPECT_EQ(shard({0x21}, 32), 1);
  EXPECT_EQ(shard({0xff}, 32), 31);
  EXPECT_EQ(shard({0xe0}, 32), 0);
  EXPECT_EQ(shard({0xd0, 0xdf}, 32), 31);
  EXPECT_EQ(shard({0xff}, 1), 0);
  EXPECT_EQ(shard({0xfe}, 3), 1);
  EXPECT_EQ(shard({0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 10), 5);  // 18446744073709551615
  EXPECT_EQ(shard({0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0}, 10), 2);                       // -9223372036854775808
  EXPECT_EQ(shard({0xc0}, 32), -1);
  EXPECT_EQ(shard({0xa1, '1'}, 32), -1);
  EXPECT_EQ(shard({0xca, 0x3f, 0x80, 0, 0}, 32), -1);
  EXPECT_EQ(shard({}, 32), -1);
}

TEST(ShardByRange, BeginsAShardWithItsBoundary) {
  const auto shard = [](std::initializer_list<unsigned> key, std::vector<Boundary> boundaries) {
    const auto found = shard_by_range(bytes(key), boundaries);
    return found.ok() ? std::to_string(found->value()) : found.error().message;
  };
  const std::vector<Boundary> numbers = {std::int64_t{-1}, std::uint64_t{5}};
  EXPECT_EQ(shard({0xfe}, numbers), "0");
  EXPECT_EQ(shard({0xff}, numbers), "1");
  EXPECT_EQ(shard({0x04}, numbers), "1");
  EXPECT_EQ(shard({0x05}, numbers), "2");
  EXPECT_EQ(shard({0xca, 0x40, 0x9f, 0xff, 0xff}, numbers), "1") << "4.9999995";
  EXPECT_EQ(shard({0xca, 0x40, 0xa0, 0, 0}, numbers), "2") << "5.0";
  EXPECT_EQ(shard({0xca, 0xff, 0x80, 0, 0}, numbers), "0") << "-infinity";
  EXPECT_EQ(shard({0xca, 0x7f, 0xc0, 0, 0}, numbers),
            "the stream is partitioned by range of numbers, but the key is no number");
  EXPECT_EQ(shard({0xa1, '5'}, numbers), "the stream is partitioned by range of numbers, but the key is no number");
  const std::vector<Boundary> texts = {"b", "ba"};
  EXPECT_EQ(shard({0xa0}, texts), "0");
  EXPECT_EQ(shard({0xa1, 'b'}, texts), "1");
  EXPECT_EQ(shard({0xa2, 'b', 'a'}, texts), "2");
  EXPECT_EQ(shard({0xc0}, texts), "the stream is partitioned by range of strings, but the key is no string");
  EXPECT_EQ(shard({0xa2, 'b'}, texts), "the stream is partitioned by range of strings, but the key is no string");
}

TEST(KeyFields, TakesFieldsOfTheValue) {
  const auto extract = [](std::vector<std::string> pointers, bool list, const Bytes& value) {
    Stream stream;
    stream.key = std::move(pointers);
    stream.key_is_list = list;
    Bytes out;
    const Status status = KeyFields(stream).extract(value, out);
    return status.ok() ? out : Bytes();
  };
  // {"a": 5, "b": {"c/d": "x", "~": [1, 2]}}
  const Bytes value =
      bytes({0x82, 0xa1, 'a', 5, 0xa1, 'b', 0x82, 0xa3, 'c', '/', 'd', 0xa1, 'x', 0xa1, '~', 0x92, 1, 2});
  EXPECT_TRUE(KeyFields(Stream()).empty());
  EXPECT_EQ(extract({"/a"}, false, value), bytes({5}));
  EXPECT_EQ(extract({"/a"}, true, value), bytes({0x91, 5}));
  EXPECT_EQ(extract({"/b/c~1d"}, false, value), bytes({0xa1, 'x'}));
  EXPECT_EQ(extract({"/b/~0/1"}, false, value), bytes({2}));
  EXPECT_EQ(extract({"/b/c~1d", "/a"}, true, value), bytes({0x92, 0xa1, 'x', 5}));
  for (const char* missing : {"/c", "/a/b", "/b/~0/2", "/b/~0/01", "/b/~0/x", "/b/c"}) {
    EXPECT_TRUE(extract({missing}, false, value).empty()) << missing;
  }
  for (std::size_t size = 0; size < value.size(); ++size) {
    const Bytes cut(value.begin(), value.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_TRUE(extract({"/b/~0/1"}, false, cut).empty()) << size;
  }
  Stream stream;
  stream.key = {"/user/id"};
  Bytes out;
  EXPECT_NE(KeyFields(stream).extract(value, out).error().message.find("/user/id"), std::string::npos);
}

}  // namespace
}  // namespace weir::wire
