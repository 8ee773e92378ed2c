// SPDX-License-Identifier: Apache-2.0
#include "sdk/wire/compression.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "sdk/wire/batch.h"
#include "sdk/wire/frame_writer.h"

namespace weir::wire {
namespace {

constexpr std::size_t kMax = 1 << 20;
constexpr Compression kBoth[] = {Compression::kLz4, Compression::kZstd};

std::uint32_t number(Compression compression) { return static_cast<std::uint32_t>(compression); }

Bytes batch_of(int records) {
  Bytes batch;
  const std::string value = "\xd9\x40" + std::string(64, 'x');
  for (int i = 0; i < records; ++i) append_record(batch, {i, nil_bytes(), as_bytes(value), {}});
  return batch;
}

Bytes noise(std::size_t size) {
  std::mt19937 random(7);
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

TEST(Compression, GivesBackWhatWasCompressedHoweverOften) {
  for (const Compression compression : kBoth) {
    Compressor compressor(compression);
    Decompressor decompressor;
    for (const int records : {4, 1000, 10, 5000}) {
      const Bytes batch = batch_of(records);
      Bytes packed = {std::byte{9}};  // what is there stays
      ASSERT_EQ(compressor.append(batch, packed), compression);
      EXPECT_LT(packed.size(), batch.size() / 2);
      const auto plain = decompressor.records(number(compression), BytesView(packed).subspan(1), kMax);
      ASSERT_TRUE(plain.ok()) << plain.error().message;
      EXPECT_TRUE(std::ranges::equal(*plain, batch));
    }
  }
}

TEST(Compression, LeavesWhatIsSmallOrGainsTooLittleAsItIs) {
  for (const Compression compression : {Compression::kNone, Compression::kLz4, Compression::kZstd}) {
    Compressor compressor(compression);
    for (const Bytes& batch : {batch_of(1), noise(64 << 10), Bytes(kCompressBytesMin - 1)}) {
      Bytes packed;
      EXPECT_EQ(compressor.append(batch, packed), Compression::kNone);
      EXPECT_EQ(packed, batch);
      const auto plain = Decompressor().records(number(Compression::kNone), packed, 0);
      ASSERT_TRUE(plain.ok());
      EXPECT_EQ(plain->data(), packed.data()) << "nothing is copied";
    }
  }
}

// The formats are of others and older than these bytes: what was written once is read for ever.
TEST(Compression, ReadsTheGoldenBytes) {
  const std::string plain(40, 'a');
  // u32 40; an LZ4 block: token (1 literal, match of 19 and more), 'a', offset 1, 14 more; token (6 literals), them.
  const std::string lz4 = std::string("\x28\0\0\0", 4) + std::string("\x1f\x61\x01\x00\x0e\x60", 6) + "aaaaaa";
  // u32 40; a zstd frame: magic, single segment of 40 bytes, a last block that repeats one byte 40 times.
  const std::string zstd = std::string("\x28\0\0\0", 4) + std::string("\x28\xb5\x2f\xfd\x20\x28\x43\x01\x00\x61", 10);
  for (const auto& [compression, bytes] : {std::pair(1U, lz4), std::pair(2U, zstd)}) {
    Decompressor decompressor;
    const auto records = decompressor.records(compression, as_bytes(bytes), kMax);
    ASSERT_TRUE(records.ok()) << compression << ": " << records.error().message;
    EXPECT_EQ(as_text(*records), plain);
  }
}

TEST(Compression, RefusesWhatAnnouncesOtherThanItHoldsOrTooMuch) {
  for (const Compression compression : kBoth) {
    const Bytes batch = batch_of(100);
    Bytes packed;
    ASSERT_EQ(Compressor(compression).append(batch, packed), compression);
    Decompressor decompressor;
    const auto announces = [&](std::uint32_t size) {
      Bytes other = packed;
      std::memcpy(other.data(), &size, sizeof(size));
      return decompressor.records(number(compression), other, kMax).ok();
    };
    const auto size = static_cast<std::uint32_t>(batch.size());
    EXPECT_TRUE(announces(size));
    for (const std::uint32_t wrong : {0U, 1U, size - 1, size + 1, static_cast<std::uint32_t>(kMax), 0xffffffffU})
      EXPECT_FALSE(announces(wrong)) << wrong;
    EXPECT_FALSE(decompressor.records(number(compression), packed, size - 1).ok()) << "above what is permitted";
    EXPECT_TRUE(decompressor.records(number(compression), packed, size).ok());
    for (std::size_t cut = 0; cut < packed.size(); ++cut)
      EXPECT_FALSE(decompressor.records(number(compression), BytesView(packed).first(cut), kMax).ok()) << cut;
    EXPECT_FALSE(decompressor.records(3, packed, kMax).ok());
  }
}

TEST(Compression, SaysInAFrameWhichBatchesAreCompressed) {
  Compressor compressor(Compression::kLz4);
  const Bytes large = batch_of(100);
  const Bytes small = batch_of(1);
  Bytes frame;
  FrameWriter writer(5, 2, frame, compressor);
  writer.add(1, 100, large, 17);
  writer.add(4, 1, small, 18);
  writer.finish();
  const auto view = FrameView::parse(frame);
  ASSERT_TRUE(view.ok()) << view.error().message;
  EXPECT_EQ(view->header().stream, 5U);
  EXPECT_EQ(view->header().records, 101U);
  EXPECT_EQ(view->batch(0).compression, number(Compression::kLz4));
  EXPECT_EQ(view->batch(0).origin_us, 17);
  EXPECT_EQ(view->batch(1).compression, number(Compression::kNone));
  EXPECT_EQ(view->batch(1).bytes, small.size());
  EXPECT_LT(view->batch(0).bytes, large.size() / 2);

  Bytes unknown = frame;
  unknown[sizeof(FrameHeader) + 12] = std::byte{9};
  EXPECT_FALSE(FrameView::parse(unknown).ok());
}

}  // namespace
}  // namespace weir::wire
