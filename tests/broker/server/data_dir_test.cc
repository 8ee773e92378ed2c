// SPDX-License-Identifier: Apache-2.0
#include "broker/server/data_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "tests/support/temporary_folder.h"

namespace weir::server {
namespace {

using testing::HasSubstr;

class DataDirTest : public testing::Test {
 protected:
  DataDirTest() { topology_.name = "t"; }

  Result<DataDir> open(bool fresh) const { return DataDir::open({.path = path_, .fresh = fresh}, topology_); }
  void write(const std::string& name, const std::string& text) const {
    const std::filesystem::path file = path_ + "/" + name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path_ + "/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  testing_host::TemporaryFolder folder_;
  std::string path_ = folder_ / "data";
  Topology topology_;
};

TEST_F(DataDirTest, FreshDeletesWhatATopologyHasLeft) {
  ASSERT_TRUE(open(false).ok());
  write("journal/segment", "s");
  write("state/x", "x");
  topology_.name = "another";
  EXPECT_EQ(open(false).status().error().code, Code::kRefused);
  EXPECT_TRUE(open(true).ok());
  EXPECT_EQ(read("journal/segment"), "");
  EXPECT_EQ(read("state/x"), "");
  EXPECT_EQ(DataDir::read_owner(path_)->topology.name, "another");
}

TEST_F(DataDirTest, FreshTouchesNothingWhereWeirJsonIsNoneThatWeirWrites) {
  for (const char* owner : {"", "{}", "not json", R"({"pages": 3})", "[1]", R"({"format": 2, "name": "t"})",
                            R"({"format": "2", "name": "t", "topology": {}})"}) {
    write("weir.json", owner);
    write("journal/diary.txt", "dear diary");
    write("state/x", "x");
    const auto opened = open(true);
    ASSERT_FALSE(opened.ok()) << owner;
    EXPECT_EQ(opened.status().error().code, Code::kRefused);
    EXPECT_THAT(opened.status().error().message, HasSubstr(path_ + "/weir.json is damaged, or not Weir's"));
    EXPECT_THAT(opened.status().error().message, HasSubstr("run without --fresh, which says how"));
    EXPECT_EQ(read("weir.json"), owner);
    EXPECT_EQ(read("journal/diary.txt"), "dear diary");
    EXPECT_EQ(read("state/x"), "x");
    EXPECT_FALSE(std::filesystem::exists(path_ + "/lock"));
  }
}

TEST_F(DataDirTest, FreshDeletesAlsoWhatAnotherVersionHasLeft) {
  write("weir.json", R"({"format": 99, "name": "t", "topology": {"unheard": "of"}})");
  write("journal/segment", "s");
  EXPECT_EQ(open(false).status().error().code, Code::kRefused);
  EXPECT_EQ(read("journal/segment"), "s");
  EXPECT_TRUE(open(true).ok());
  EXPECT_EQ(read("journal/segment"), "");
}

}  // namespace
}  // namespace weir::server
