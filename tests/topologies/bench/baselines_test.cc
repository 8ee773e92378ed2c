// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "topologies/bench/awk.h"
#include "topologies/bench/bare_disk.h"
#include "topologies/bench/bare_path.h"
#include "topologies/bench/bare_relay.h"
#include "topologies/bench/forked.h"
#include "topologies/bench/hash_map_loop.h"
#include "topologies/bench/scratch_folder.h"

namespace weir::bench {
namespace {

class Baselines : public testing::Test {
 protected:
  void SetUp() override {
    auto made = ScratchFolder::make_in(testing::TempDir());
    ASSERT_TRUE(made.ok());
    folder.emplace(*std::move(made));
  }
  std::string write(const std::string& text) const {
    const std::string path = folder->path() + "/lines";
    std::ofstream(path) << text;
    return path;
  }
  std::optional<ScratchFolder> folder;
};

TEST_F(Baselines, CountWords) {
  const std::string path = write("a bb a\nccc a\n");
  const Totals counts = {{"a", 3}, {"bb", 1}, {"ccc", 1}};
  Totals by_loop;
  const auto loop = loop_over_words(path, by_loop);
  ASSERT_TRUE(loop.ok()) << loop.error().message;
  EXPECT_EQ(by_loop, counts);
  EXPECT_EQ(loop->records, 5U);
  EXPECT_EQ(loop->bytes, 13U);
  EXPECT_GT(loop->seconds, 0);
  Totals by_awk;
  const auto awk = awk_over_words(path, 5, by_awk);
  ASSERT_TRUE(awk.ok()) << awk.error().message;
  EXPECT_EQ(by_awk, counts);
}

TEST_F(Baselines, AddNumbersUp) {
  const std::string path = write("k1 300 xx\nk2 7 xx\nk1 5000000000 xx\n");
  const Totals totals = {{"k1", 5'000'000'300}, {"k2", 7}};
  Totals by_loop;
  ASSERT_TRUE(loop_over_records(path, by_loop).ok());
  EXPECT_EQ(by_loop, totals);
  Totals by_awk;
  ASSERT_TRUE(awk_over_records(path, 3, by_awk).ok());
  EXPECT_EQ(by_awk, totals);
}

TEST_F(Baselines, SayThatAFileIsMissing) {
  Totals totals;
  EXPECT_FALSE(loop_over_words(folder->path() + "/nothing", totals).ok());
  EXPECT_FALSE(awk_over_words(folder->path() + "/nothing", 1, totals).ok());
}

TEST(BareRelay, TakesEveryByteThroughThreeProcesses) {
  const Workload workload = Workload::of_size(100'000, 10, 100);
  const auto measured = run_bare_relay(workload);
  ASSERT_TRUE(measured.ok()) << measured.error().message;
  EXPECT_EQ(measured->records, 100'000U);
  EXPECT_EQ(measured->bytes, 10'000'000U);
  EXPECT_GT(measured->seconds, 0);
  ASSERT_EQ(measured->processes.size(), 3U);
  EXPECT_FALSE(measured->durability.has_value());
}

TEST(BarePath, KeepsToItsMomentsAndCountsFromThem) {
  const auto folder = ScratchFolder::make_in(testing::TempDir());
  ASSERT_TRUE(folder.ok());
  const auto measured = run_bare_path(Workload::of_size(500, 1, 100), 2000, folder->path());
  ASSERT_TRUE(measured.ok()) << measured.error().message;
  EXPECT_GE(measured->seconds, 499 / 2000.0) << "none was sent before it was due";
  ASSERT_TRUE(measured->latency.has_value());
  EXPECT_GT(measured->latency->p50_ns, 1000U);
  EXPECT_LE(measured->latency->p50_ns, measured->latency->most_ns);
}

TEST_F(Baselines, WriteEveryByteToTheRawDisk) {
  const auto measured = run_bare_disk(Workload::of_size(700'000, 10, 100), folder->path());
  ASSERT_TRUE(measured.ok()) << measured.error().message;
  EXPECT_EQ(measured->bytes, 70'000'000U) << "more than the file, which is written again from its beginning";
  EXPECT_GT(measured->seconds, 0);
  ASSERT_EQ(measured->processes.size(), 1U);
  const auto sync = run_bare_sync(folder->path());
  ASSERT_TRUE(sync.ok()) << sync.error().message;
  EXPECT_LE(sync->latency->p50_ns, sync->latency->p99_ns);
  EXPECT_TRUE(std::filesystem::is_empty(folder->path()));
  const auto nowhere = run_bare_disk(Workload::of_size(10, 10, 100), folder->path() + "/nowhere");
  ASSERT_FALSE(nowhere.ok());
  EXPECT_NE(nowhere.error().message.find("/nowhere: a file of 64 MiB cannot be written"), std::string::npos);
}

TEST(Forked, NamesAProcessThatFails) {
  Forked processes;
  ASSERT_TRUE(processes.start("good", [] { return true; }).ok());
  ASSERT_TRUE(processes.start("bad", [] { return false; }).ok());
  const auto uses = processes.wait();
  ASSERT_FALSE(uses.ok());
  EXPECT_NE(uses.error().message.find("\"bad\""), std::string::npos) << uses.error().message;
}

TEST(Forked, TellsWhatAProcessUsed) {
  constexpr std::size_t kBytes = 64 << 20;
  Forked processes;
  const auto work = [] {
    const std::string much(kBytes, 'x');
    std::size_t sum = 0;
    for (int i = 0; i < 10; ++i) {
      for (const char c : much) sum += static_cast<unsigned char>(c) ^ (sum >> 3);
    }
    return sum != 0;
  };
  ASSERT_TRUE(processes.start("work", work).ok());
  const auto uses = processes.wait();
  ASSERT_TRUE(uses.ok());
  ASSERT_EQ(uses->size(), 1U);
  EXPECT_GT(uses->front().cpu_seconds, 0.05);
  EXPECT_GT(uses->front().peak_bytes, kBytes);
}

}  // namespace
}  // namespace weir::bench
