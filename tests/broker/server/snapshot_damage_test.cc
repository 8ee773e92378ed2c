// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "broker/server/needs.h"
#include "broker/server/snapshot_file.h"
#include "tests/support/sim_disk.h"

namespace weir::test {
namespace {

constexpr std::uint64_t kNumber = 7;
constexpr std::uint64_t kBlock = 4096;

/// By lane and key.
using State = std::map<std::pair<std::uint32_t, std::string>, std::string>;

class SnapshotDamage : public testing::Test {
 protected:
  /// Three lanes, of which one takes several blocks.
  void SetUp() override {
    auto writer = server::SnapshotWriter::create(disk_, kNumber, 2);
    ASSERT_TRUE(writer.ok());
    for (const std::uint32_t lane : {1U, 4U, 9U}) {
      for (int i = 0; i < (lane == 4 ? 60 : 3); ++i) {
        const std::string key = fmt::format("key {:03}", i);
        const std::string value(lane == 4 ? 5000 + i * 17 : 30, static_cast<char>('a' + i % 26));
        state_[{lane, key}] = value;
        ASSERT_TRUE(writer->add(lane, {wire::Space::kState, as_bytes("sum"), as_bytes(key), as_bytes(value)}).ok());
      }
    }
    ASSERT_TRUE(writer->finish().ok());
    original_ = disk_.content(name_);
    ASSERT_GT(original_.size(), 3U * 100'000);
  }

  /// The state is as it was written, or the file is called damaged; never anything else.
  void judge(SimDisk& twin, const std::string& what) {
    ++cases_;
    const auto snapshot = server::SnapshotReader::open(twin, kNumber);
    Status status = snapshot.status();
    State found;
    if (snapshot.ok()) {
      for (const std::uint32_t lane : snapshot->lanes()) {
        status = snapshot->read(lane, [&](BytesView block) -> Status {
          wire::ChangesReader changes(block);
          while (const auto change = changes.next()) {
            found[{lane, std::string(as_text(change->key))}] =
                std::string(as_text(change->value.value_or(BytesView())));
          }
          return {};
        });
        if (!status.ok()) break;
      }
    }
    ASSERT_EQ(status.ok(), server::try_to_read_snapshot(twin, kNumber).ok()) << what;
    if (status.ok()) {
      ASSERT_EQ(found, state_) << what;
      return;
    }
    ++refused_;
    ASSERT_EQ(status.error().code, Code::kCorrupt) << what << ": " << status.error().message;
    ASSERT_THAT(status.error().message, testing::HasSubstr(name_)) << what;
  }

  const std::string name_ = server::snapshot_file_name(kNumber);
  SimDisk disk_{1};
  State state_;
  Bytes original_;
  std::uint64_t cases_ = 0;
  std::uint64_t refused_ = 0;
};

TEST_F(SnapshotDamage, OfNoByteIsTakenForState) {
  for (std::size_t at = 0; at < original_.size(); at += at < 64 || at + 200 > original_.size() ? 1 : 101) {
    auto twin = disk_.clone(at);
    twin->flip_bit(name_, at, static_cast<int>(at % 8));
    ASSERT_NO_FATAL_FAILURE(judge(*twin, fmt::format("flipped at {}", at)));
  }
  // The stage in the header (bytes 12 to 15) is for a person; it names nothing that is read.
  EXPECT_EQ(cases_ - refused_, 4U);
}

TEST_F(SnapshotDamage, ByACutIsAlwaysSeen) {
  for (std::size_t length = 0; length<original_.size(); length += length + 100> original_.size() ? 1 : 401) {
    auto twin = disk_.clone(length);
    twin->truncate(name_, length);
    ASSERT_NO_FATAL_FAILURE(judge(*twin, fmt::format("cut at {}", length)));
  }
  EXPECT_EQ(refused_, cases_);
}

TEST_F(SnapshotDamage, BySwappedBlocksIsAlwaysSeen) {
  const std::size_t blocks = original_.size() / kBlock;
  for (std::size_t i = 0; i < blocks; ++i) {
    for (std::size_t j = i + 1; j < blocks; ++j) {
      const BytesView one = BytesView(original_).subspan(i * kBlock, kBlock);
      const BytesView other = BytesView(original_).subspan(j * kBlock, kBlock);
      if (std::ranges::equal(one, other)) continue;
      auto twin = disk_.clone(i);
      twin->overwrite(name_, i * kBlock, other);
      twin->overwrite(name_, j * kBlock, one);
      ASSERT_NO_FATAL_FAILURE(judge(*twin, fmt::format("blocks {} and {} swapped", i, j)));
    }
  }
  EXPECT_EQ(refused_, cases_);
}

TEST_F(SnapshotDamage, IsNotWhatAFormatToComeIsTakenFor) {
  const std::uint32_t version = 2;
  const BytesView bytes = std::as_bytes(std::span(&version, 1));
  auto twin = disk_.clone(1);
  twin->overwrite(name_, 8, bytes);
  EXPECT_EQ(server::SnapshotReader::open(*twin, kNumber).error().code, Code::kCorrupt) << "its end says another";
  twin->overwrite(name_, original_.size() - sizeof(version), bytes);
  const auto opened = server::SnapshotReader::open(*twin, kNumber);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, Code::kRefused);
  EXPECT_THAT(opened.error().message,
              testing::HasSubstr("has format 2, this Weir reads format 1: use the Weir that wrote it, or a newer one"));
}

TEST_F(SnapshotDamage, OfTheWholeFileIsSaid) {
  ASSERT_TRUE(disk_.remove(name_).ok());
  ASSERT_NO_FATAL_FAILURE(judge(disk_, "removed"));
  EXPECT_EQ(refused_, 1U);
}

}  // namespace
}  // namespace weir::test
