// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/posix_disk.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace weir::journal {
namespace {

class PosixDiskTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = PosixDisk::open(directory_);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    disk_ = std::move(*opened);
  }
  void TearDown() override {
    disk_.reset();
    std::filesystem::remove_all(directory_);
  }
  void expect_zeros(std::string_view name, std::uint64_t bytes) {
    auto file = disk_->open(name);
    ASSERT_TRUE(file.ok()) << file.error().message;
    ASSERT_EQ((*file)->size(), bytes);
    Bytes content(static_cast<std::size_t>(bytes), std::byte{'x'});
    const auto read = (*file)->read(0, content);
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(*read, bytes);
    EXPECT_EQ(std::count(content.begin(), content.end(), std::byte{0}), static_cast<std::ptrdiff_t>(bytes));
  }

  const std::string directory_ = testing::TempDir() + "weir-disk-" + std::to_string(::getpid());
  std::unique_ptr<PosixDisk> disk_;
};

TEST_F(PosixDiskTest, FillsAFileWithZeros) {
  // More than one huge page, of whole blocks and not.
  for (const std::uint64_t bytes : {1ULL, 4096ULL, (5ULL << 20) + 4096, (3ULL << 20) + 77}) {
    const auto file = disk_->create("file", bytes);
    ASSERT_TRUE(file.ok()) << file.error().message;
    expect_zeros("file", bytes);
  }
}

TEST_F(PosixDiskTest, FillsAFileBesideOthersInThePiecesThatItIsTold) {
  constexpr std::uint64_t kPiece = 64 << 10;
  for (const std::uint64_t more : {std::uint64_t{0}, std::uint64_t{4096}, std::uint64_t{77}}) {
    std::uint64_t asked = 0;
    const std::uint64_t bytes = 9 * kPiece + more;
    // Two small ones, then there is haste.
    const auto file = disk_->create_beside("file", bytes, [&] { return ++asked <= 2 ? kPiece : 4 * kPiece; });
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_EQ(asked, 4U);
    expect_zeros("file", bytes);
  }
}

}  // namespace
}  // namespace weir::journal
