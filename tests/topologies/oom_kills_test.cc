// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/oom_kills.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace weir::launcher {
namespace {

using std::chrono::seconds;

class OomKillsTest : public ::testing::Test {
 protected:
  OomKillsTest() {
    std::string path = (std::filesystem::temp_directory_path() / "weir-oom-XXXXXX").string();
    folder_ = ::mkdtemp(path.data());
    counted(3);
  }
  ~OomKillsTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  [[nodiscard]] std::string file() const { return folder_ / "memory.events"; }
  /// As the kernel writes it, with the line of `memory.events` that is much like it.
  void counted(int kills) const {
    std::ofstream(file(), std::ios::trunc) << fmt::format("low 0\nhigh 0\nmax 17\noom 9\noom_kill {}\n", kills);
  }

  std::filesystem::path folder_;
};

TEST_F(OomKillsTest, LaysADeathToAKillThatWasCounted) {
  OomKills kills(file());
  kills.watch(seconds(1));
  EXPECT_FALSE(kills.take());
  counted(4);
  EXPECT_TRUE(kills.take());
}

TEST_F(OomKillsTest, LaysOneDeathToEachKill) {
  OomKills kills(file());
  kills.watch(seconds(1));
  counted(5);
  EXPECT_TRUE(kills.take());
  EXPECT_TRUE(kills.take());
  EXPECT_FALSE(kills.take());
  kills.watch(seconds(10));
  EXPECT_FALSE(kills.take());
  counted(6);
  EXPECT_TRUE(kills.take());
}

TEST_F(OomKillsTest, ForgetsKillsThatExplainedNoDeathForLong) {
  OomKills kills(file());
  kills.watch(seconds(1));
  counted(4);  // of another process in the same container
  kills.watch(seconds(6));
  kills.watch(seconds(11));
  EXPECT_FALSE(kills.take());
}

TEST_F(OomKillsTest, KnowsAKillThatWasSeenJustBeforeItsDeath) {
  OomKills kills(file());
  kills.watch(seconds(1));
  counted(4);
  kills.watch(seconds(6));
  EXPECT_TRUE(kills.take());
  kills.watch(seconds(11));
  kills.watch(seconds(16));
  EXPECT_FALSE(kills.take());
}

TEST_F(OomKillsTest, ExplainsNothingWithoutACounter) {
  OomKills absent(folder_ / "absent");
  OomKills none("");
  for (OomKills* kills : {&absent, &none}) {
    kills->watch(seconds(1));
    EXPECT_FALSE(kills->take());
    kills->watch(seconds(10));
    EXPECT_FALSE(kills->take());
  }
  std::ofstream(file(), std::ios::trunc) << "oom_kill_disable 0\nunder_oom 0\n";  // of a kernel that does not count
  OomKills older(file());
  EXPECT_FALSE(older.take());
}

TEST(OomCounter, IsThatOfOurOwnGroup) {
  EXPECT_EQ(oom_counter_of("0::/user.slice/a.scope\n",
                           "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"),
            "/sys/fs/cgroup/user.slice/a.scope/memory.events");
  EXPECT_EQ(oom_counter_of("0::/\n", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"),
            "/sys/fs/cgroup/memory.events");
  const std::string version1 =
      "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
      "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
      "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
  EXPECT_EQ(oom_counter_of("5:cpu:/\n4:memory:/jobs/7\n0::/\n", version1),
            "/sys/fs/cgroup/memory/jobs/7/memory.oom_control");
  // In a container the mount shows our own group, or one above it, as its root.
  EXPECT_EQ(oom_counter_of("4:memory:/docker/ab\n",
                           "35 31 0:32 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"),
            "/sys/fs/cgroup/memory/memory.oom_control");
  EXPECT_EQ(oom_counter_of("0::/docker/ab/in\n", "31 23 0:28 /docker/ab /sys/fs/cgroup ro - cgroup2 cgroup rw\n"),
            "/sys/fs/cgroup/in/memory.events");
  EXPECT_EQ(oom_counter_of("", ""), "");
  EXPECT_EQ(oom_counter_of("0::/\n", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"), "");
}

}  // namespace
}  // namespace weir::launcher
