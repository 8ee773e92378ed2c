// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/text_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "topologies/bench/scratch_folder.h"

namespace weir::bench {
namespace {

TEST(BenchText, HoldsTwelveWordsALineAndIsTheSameEachTime) {
  const auto folder = ScratchFolder::make_in(testing::TempDir());
  ASSERT_TRUE(folder.ok());
  const std::string path = folder->path() + "/text";
  const auto size = write_words(path, 100'000);
  ASSERT_TRUE(size.ok());
  EXPECT_EQ(*size, std::filesystem::file_size(path));
  EXPECT_GE(*size, 100'000U);
  EXPECT_LT(*size, 100'200U);
  std::ostringstream first;
  first << std::ifstream(path).rdbuf();
  std::istringstream lines(first.str());
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    int count = 0;
    for (std::string word; words >> word;) ++count;
    EXPECT_EQ(count, 12) << line;
  }
  ASSERT_TRUE(write_words(path, 100'000).ok());
  std::ostringstream second;
  second << std::ifstream(path).rdbuf();
  EXPECT_EQ(first.str(), second.str());
}

TEST(BenchText, HoldsRecordsInLinesOfTheirLength) {
  const auto folder = ScratchFolder::make_in(testing::TempDir());
  ASSERT_TRUE(folder.ok());
  const std::string path = folder->path() + "/records";
  const Workload workload = Workload::of_size(50, 10, 100);
  ASSERT_TRUE(write_records(path, workload).ok());
  std::ifstream file(path);
  std::uint64_t i = 0;
  for (std::string line; std::getline(file, line); ++i) {
    EXPECT_EQ(line.size() + 1, 100U);
    std::istringstream fields(line);
    std::string key;
    std::int64_t number = 0;
    fields >> key >> number;
    EXPECT_EQ(key, key_text(workload.key_of(i)));
    EXPECT_EQ(number, Workload::number_of(i));
  }
  EXPECT_EQ(i, 50U);
}

TEST(BenchScratchFolder, IsGoneWithAllThatIsInIt) {
  std::string path;
  {
    const auto folder = ScratchFolder::make_in(testing::TempDir());
    ASSERT_TRUE(folder.ok());
    path = folder->path();
    std::ofstream(path + "/file") << "text";
    EXPECT_TRUE(std::filesystem::exists(path + "/file"));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(BenchScratchFolder, SaysWhereItCannotBeMade) {
  const auto folder = ScratchFolder::make_in("/proc/nowhere");
  ASSERT_FALSE(folder.ok());
  EXPECT_NE(folder.error().message.find("/proc/nowhere"), std::string::npos) << folder.error().message;
  EXPECT_NE(folder.error().message.find("--data"), std::string::npos) << folder.error().message;
}

}  // namespace
}  // namespace weir::bench
