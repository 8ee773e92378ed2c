// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/posix_disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <thread>

namespace {

/// Has one call of the kernel fail, as it may on some file system.
struct Calls {
  std::atomic<int> made{0};
  std::atomic<int> fails_at{0};  // 0: none does
  std::atomic<int> fails_with{0};
  void fail(int nth, int number) {
    made = 0;
    fails_with = number;
    fails_at = nth;
  }
  bool next_fails() {
    if (++made != fails_at) return false;
    fails_at = 0;
    errno = fails_with;
    return true;
  }
};
Calls syncs;
Calls direct_writes;  // all others are of several parts

}  // namespace

// In front of the C library's.
extern "C" int fdatasync(int descriptor) {
  return syncs.next_fails() ? -1 : static_cast<int>(::syscall(SYS_fdatasync, descriptor));
}
extern "C" ssize_t pwrite(int descriptor, const void* from, size_t size, off_t offset) {
  return direct_writes.next_fails() ? -1 : ::syscall(SYS_pwrite64, descriptor, from, size, offset);
}

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

  std::unique_ptr<File> create(std::string_view name, std::uint64_t bytes) {
    auto file = disk_->create(name, bytes);
    EXPECT_TRUE(file.ok()) << file.error().message;
    return std::move(*file);
  }
  static Bytes content_of(File& file) {
    Bytes content(static_cast<std::size_t>(file.size()));
    const auto read = file.read(0, content);
    EXPECT_TRUE(read.ok() && *read == content.size());
    return content;
  }
  /// So many pages of the file are in the page cache.
  [[nodiscard]] std::size_t pages_cached(std::string_view name) const {
    const int descriptor = ::open(fmt::format("{}/{}", directory_, name).c_str(), O_RDONLY | O_CLOEXEC);
    const auto bytes = static_cast<std::size_t>(::lseek(descriptor, 0, SEEK_END));
    void* const mapped = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, descriptor, 0);
    std::vector<unsigned char> pages((bytes + 4095) / 4096);
    EXPECT_EQ(::mincore(mapped, bytes, pages.data()), 0);
    ::munmap(mapped, bytes);
    ::close(descriptor);
    return static_cast<std::size_t>(
        std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return (page & 1U) != 0; }));
  }
  /// What a plain program sees: whether a page that it writes with O_DIRECT stays out of the page cache here.
  [[nodiscard]] bool passes_the_page_cache() const {
    const int descriptor = ::open((directory_ + "/probe").c_str(), O_WRONLY | O_CREAT | O_DIRECT | O_CLOEXEC, 0666);
    if (descriptor < 0) return false;
    void* const page = std::aligned_alloc(4096, 4096);
    std::memset(page, 'p', 4096);
    const bool wrote = ::pwrite(descriptor, page, 4096, 0) == 4096;
    std::free(page);
    ::close(descriptor);
    return wrote && pages_cached("probe") == 0;
  }
  static std::size_t descriptors() {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
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

// Where blocks are found for what is written only when it is brought out.
TEST_F(PosixDiskTest, TellsOfADiskThatIsFullFromTheSyncOfAPieceToo) {
  for (const int number : {ENOSPC, EDQUOT, EIO}) {
    syncs.fail(2, number);
    const auto file = disk_->create_beside("file", (256 << 10) + 77, [] { return 64 << 10; });
    ASSERT_FALSE(file.ok());
    EXPECT_EQ(file.error().code, number == EIO ? Code::kIo : Code::kDiskFull) << file.error().message;
    EXPECT_EQ(disk_->open(std::string_view("file")).error().code, Code::kNotFound);
  }
}

// The parts are of all lengths, the page through which they go is full amid some of them, and what is read ahead of a
// write is in the page cache when that passes it.
TEST_F(PosixDiskTest, WritesPastTheCacheWhatReadsAsIfItHadNot) {
  constexpr std::size_t kMiB = 1 << 20;
  const auto file = create("file", 4 * kMiB);
  Bytes expected(4 * kMiB);
  std::mt19937_64 random(7);
  struct Write {
    std::uint64_t offset;
    std::size_t bytes;
  };
  for (const Write write : {Write{0, 4096}, Write{4096, 64 << 10}, Write{kMiB, 2 * kMiB}, Write{8192, 2 * kMiB + 4096},
                            Write{3 * kMiB, 5 * kMiB}, Write{100, 4096}, Write{12288, 77}, Write{0, 0}}) {
    EXPECT_EQ(content_of(*file), expected);
    Bytes bytes(write.bytes);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    std::vector<BytesView> parts;
    for (BytesView left = bytes; !left.empty(); left = left.subspan(parts.back().size())) {
      const std::size_t most = random() % 3 == 0 ? 300'000 : 5000;
      parts.push_back(left.first(std::min<std::size_t>(left.size(), random() % most)));
    }
    ASSERT_TRUE(file->write_past_cache(write.offset, parts).ok());
    expected.resize(std::max<std::size_t>(expected.size(), write.offset + bytes.size()));
    std::copy(bytes.begin(), bytes.end(), expected.begin() + static_cast<std::ptrdiff_t>(write.offset));
    EXPECT_EQ(file->size(), expected.size());
  }
  EXPECT_TRUE(file->sync().ok());
  EXPECT_EQ(content_of(*file), expected);
  const auto again = disk_->open(std::string_view("file"));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(content_of(**again), expected);
}

// Readers ahead of the writer fill the cache with what a group replaces: whoever is told of a group must see that.
TEST_F(PosixDiskTest, ReadersSeeWhatIsWrittenPastTheCacheOnceTheyAreToldOfIt) {
  constexpr std::size_t kGroup = 68 << 10;
  constexpr std::size_t kStride = kGroup + 4096;
  constexpr std::size_t kGroups = 58;
  constexpr std::size_t kBytes = kGroups * kStride + 4096;
  const auto file = create("file", kBytes);
  std::atomic<std::size_t> told{0};  // groups, of all rounds
  std::jthread reader([&](const std::stop_token& stop) {
    Bytes into(kBytes);
    while (!stop.stop_requested()) {
      const std::size_t known = told.load();
      EXPECT_TRUE(file->read(0, into).ok());
      // Of the round that has begun; those behind are of the one before, or newer.
      const auto round = static_cast<std::uint8_t>(known / kGroups + 1);
      for (std::size_t i = 0; i < kGroups; ++i) {
        const std::uint8_t least = i < known % kGroups ? round : round - 1;
        // But for its first block, which the zeros behind a mark may be in.
        const BytesView group = BytesView(into).subspan(i * kStride + 4096, kGroup - 4096);
        const auto old = std::find_if(group.begin(), group.end(),
                                      [&](std::byte byte) { return static_cast<std::uint8_t>(byte) < least; });
        ASSERT_EQ(old, group.end()) << "group " << i << " of " << known << " written, byte " << old - group.begin();
      }
    }
  });
  Bytes expected(kBytes);
  for (std::uint8_t round = 1; round <= 8; ++round) {
    // A mark through the cache behind each group, and zeros where the next one begins.
    for (std::size_t at = 0; at + kStride + 4096 <= kBytes; at += kStride) {
      std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(at), kGroup, std::byte{round});
      const BytesView large = BytesView(expected).subspan(at, kGroup);
      ASSERT_TRUE(file->write_past_cache(at, std::span(&large, 1)).ok());
      ++told;
      std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(at + kGroup), 4096, std::byte{round});
      std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(at + kStride), 4096, std::byte{0});
      const BytesView mark = BytesView(expected).subspan(at + kGroup, 8192);
      ASSERT_TRUE(file->write(at + kGroup, std::span(&mark, 1)).ok());
    }
    ASSERT_TRUE(file->sync().ok());
  }
  reader.request_stop();
  reader.join();
  EXPECT_EQ(content_of(*file), expected);
}

TEST_F(PosixDiskTest, TellsOfAWritePastTheCacheThatEndsEarly) {
  if (!passes_the_page_cache()) return;  // it is an ordinary write here
  const auto file = create("file", 1 << 20);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{3 << 20, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const Bytes bytes(5 << 20, std::byte{'x'});
  const BytesView part = bytes;
  const Status wrote = file->write_past_cache(1 << 20, std::span(&part, 1));
  EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, ignored);
  ASSERT_FALSE(wrote.ok());
  EXPECT_EQ(wrote.error().code, Code::kIo);
  EXPECT_NE(wrote.error().message.find(directory_ + "/file: cannot write"), std::string::npos) << wrote.error().message;
  EXPECT_EQ(file->size(), 3U << 20) << "as far as it came";
  EXPECT_EQ(content_of(*file)[(3 << 20) - 1], std::byte{'x'});
}

TEST_F(PosixDiskTest, WritesThroughTheCacheWhereNoMoreOfAWritePassesIt) {
  const bool passes = passes_the_page_cache();
  const auto file = create("file", 1 << 20);
  const Bytes bytes(5 << 20, std::byte{'x'});
  const BytesView part = bytes;
  for (int time = 0; time < 2; ++time) {
    direct_writes.fail(2, EINVAL);
    ASSERT_TRUE(file->write_past_cache(4096, std::span(&part, 1)).ok());
    if (passes) {
      EXPECT_EQ(direct_writes.made, time == 0 ? 2 : 0) << "after an answer that stays the same";
    }
    EXPECT_EQ(file->size(), 4096 + bytes.size());
    const Bytes content = content_of(*file);
    EXPECT_TRUE(std::ranges::equal(BytesView(content).subspan(4096), bytes));
  }
  direct_writes.fail(0, 0);
}

TEST_F(PosixDiskTest, LeavesNothingInTheCacheOfWhatPassedIt) {
  const auto file = create("file", 1 << 20);
  const Bytes bytes(256 << 10, std::byte{'x'});
  const BytesView part = bytes;
  ASSERT_TRUE(file->write_past_cache(4096, std::span(&part, 1)).ok());
  EXPECT_EQ(pages_cached("file") == 0, passes_the_page_cache());
  ASSERT_TRUE(file->write(4096, std::span(&part, 1)).ok());
  EXPECT_NE(pages_cached("file"), 0U);
}

TEST_F(PosixDiskTest, KeepsOneMoreDescriptorForAllFilesThatAreWrittenPastTheCache) {
  const Bytes bytes(4096, std::byte{'x'});
  const BytesView part = bytes;
  const std::size_t before = descriptors();
  std::vector<std::unique_ptr<File>> files;
  for (const char* name : {"a", "b", "c"}) {
    files.push_back(create(name, 8192));
    ASSERT_TRUE(files.back()->write_past_cache(0, std::span(&part, 1)).ok());
  }
  EXPECT_LE(descriptors(), before + files.size() + 1);
  // The number of a file that is gone becomes the next one's.
  while (!files.empty()) {
    files.pop_back();
    const auto other = create("other", 8192);
    ASSERT_TRUE(other->write_past_cache(4096, std::span(&part, 1)).ok());
    EXPECT_EQ(content_of(*other)[4096], std::byte{'x'});
  }
  EXPECT_EQ(descriptors(), before);
}

TEST_F(PosixDiskTest, SaysThatAFileCannotBeWrittenPastTheCacheAndAsksNoMore) {
  DirectWriter writer;
  const Bytes bytes(4096);
  const BytesView part = bytes;
  EXPECT_FALSE(writer.write(1 << 20, 0, std::span(&part, 1))) << "no file is open there";
  const int file = ::open((directory_ + "/file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  EXPECT_FALSE(writer.write(file, 0, std::span(&part, 1))) << "after an answer that stays the same";
  ::close(file);
}

}  // namespace
}  // namespace weir::journal
