// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "sdk/topology/json_document.h"
#include "tests/sdk/topology/standard_plugins.h"

namespace weir {
namespace {

const std::filesystem::path kExamples = std::filesystem::path(WEIR_SOURCE_DIR) / "topologies/examples";

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Loaded load_example(const std::string& name) {
  return load_topology((kExamples / name).string(), contents(kExamples / name), {}, standard_plugins(), variables({}));
}

TEST(Examples, LoadWithoutAnyFinding) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kExamples)) {
    if (entry.path().extension() != ".json") continue;
    ++count;
    EXPECT_EQ(findings(load_example(entry.path().filename().string())), "");
  }
  EXPECT_GE(count, 5);
}

TEST(Examples, HaveTheStagesOfTheContract) {
  const auto stages = [](const std::string& name) {
    std::string names;
    const Loaded loaded = load_example(name);
    for (const StageSpec& stage : loaded.topology.value().stages) names += stage.name + " ";
    return names;
  };
  EXPECT_EQ(stages("sum.json"), "numbers sum write ");
  EXPECT_EQ(stages("wordcount.json"), "read split count write ");
  EXPECT_EQ(stages("weblog.json"), "read parse count write ");
}

TEST(Examples, ReadAndWriteBesideThemselves) {
  const Topology weblog = load_example("weblog.json").topology.value();
  const auto path_of = [&](const char* stage) {
    return follow(parse_json_strictly(weblog.find_stage(stage)->config).value(), "/path")->text;
  };
  EXPECT_EQ(path_of("read"), (kExamples / "data/access.log").string());
  EXPECT_EQ(path_of("write"), (kExamples / "out/weblog.csv").string());
}

TEST(Examples, LoadAgainAsResolvedToTheSameTopology) {
  for (const char* name : {"sum.json", "wordcount.json", "weblog.json"}) {
    const Loaded first = load_example(name);
    const Loaded again = load_topology("/else/where.json", first.resolved, {}, standard_plugins(), variables({}));
    EXPECT_EQ(findings(again), "") << name;
    EXPECT_EQ(again.resolved, first.resolved) << name;
  }
}

// An expression of its own, for the shorter Common Log Format: a line that is malformed for us is malformed for anyone.
TEST(Examples, HaveALogOf2000LinesOfWhich13AreMalformed) {
  const std::regex common(R"re(\S+ \S+ \S+ \[[^\]]+\] "[^"]*" [0-9]{3} (-|[0-9]+)( "[^"]*" "[^"]*")?)re");
  std::istringstream log(contents(kExamples / "data/access.log"));
  int lines = 0;
  int malformed = 0;
  for (std::string line; std::getline(log, line); ++lines) malformed += std::regex_match(line, common) ? 0 : 1;
  EXPECT_EQ(lines, 2000);
  EXPECT_EQ(malformed, 13);
}

TEST(Examples, HaveALogThatItsScriptMakesAgainByteForByte) {
  const std::filesystem::path made = std::filesystem::path(testing::TempDir()) / "weir_access_log";
  const std::string command =
      "/usr/bin/python3 '" + (kExamples / "data/make_access_log.py").string() + "' '" + made.string() + "'";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(contents(made), contents(kExamples / "data/access.log"));
  std::filesystem::remove(made);
}

}  // namespace
}  // namespace weir
