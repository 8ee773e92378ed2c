// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/revise.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdk/topology/resolved_file.h"
#include "tests/sdk/topology/standard_plugins.h"

namespace weir {
namespace {

constexpr std::string_view kFile =
    R"({"name": "t", "streams": {"a": {"partition": {"by": "hash"}}, "b": {}}, "stages": {
  "n": {"plugin": "generate.sequence", "output": "a", "config": {"to": 3, "from": 1}},
  "s": {"plugin": "keyed.sum", "input": "a", "output": "b"},
  "p": {"plugin": "console.print", "input": "b"}}})";

Topology with(const std::vector<Setting>& settings) {
  const Loaded loaded = load(kFile, settings);
  WEIR_CHECK(loaded.topology.has_value(), findings(loaded));
  return *loaded.topology;
}

std::string refusal(const Setting& setting) {
  const auto revised = revise(with({}), with({setting}));
  return revised.ok() ? "" : revised.error().message;
}

template <typename Part>
std::vector<std::string> names(const std::vector<Part>& parts) {
  std::vector<std::string> names;
  for (const Part& part : parts) names.push_back(part.resting ? "(" + part.name + ")" : part.name);
  return names;
}

using testing::ElementsAre;

TEST(Revise, LeavesATopologyThatDidNotChangeAsItIs) {
  const Topology topology = with({});
  EXPECT_EQ(encode_resolved(*revise(topology, topology)), encode_resolved(topology));
}

TEST(Revise, TakesWhatMayChangeOnADirectory) {
  for (const Setting& setting :
       std::vector<Setting>{{"/description", "other"},
                            {"/http", "null"},
                            {"/http/listen", "0.0.0.0:1"},
                            {"/libraries", "[\"x.so\"]"},
                            {"/stages/s/workers", "4"},
                            {"/stages/s/memory", "32MiB"},
                            {"/stages/s/commit_after", "1s"},
                            {"/stages/s/deadline", "2m"},
                            {"/streams/a/max_backlog", "4GiB"},
                            {"/stages/s/on_error", R"({"retries": 3, "then": "skip", "kept_bytes_max": "1MiB"})"},
                            {"/broker/durability", "none"},
                            {"/broker/interval", "1s"},
                            {"/broker/memory", "64MiB"},
                            {"/broker/transaction_bytes_max", "1MiB"},
                            {"/broker/listen", "tcp://*:0"},
                            {"/broker/data_dir", "x"},
                            {"/streams/a/durability", "none"},
                            {"/streams/b/dispatch", "round_robin"},
                            // Whether state stands against these, the directory's history says.
                            {"/stages/n/config/to", "4"},
                            {"/stages/s/plugin", "keyed.count"}}) {
    const auto revised = revise(with({}), with({setting}));
    ASSERT_TRUE(revised.ok()) << setting.pointer << ": " << revised.error().message;
    EXPECT_EQ(encode_resolved(*revised), encode_resolved(with({setting}))) << setting.pointer;
  }
}

TEST(Revise, RefusesWhatWouldChangeTheMeaningOfWhatIsStoredAndNamesIt) {
  const std::string rest = "; use another data directory, or --fresh to start over";
  EXPECT_EQ(refusal({"/name", "u"}), "the directory belongs to topology \"t\", not \"u\"" + rest);
  EXPECT_EQ(refusal({"/broker/segment_size", "32MiB"}),
            "\"segment_size\" was 64MiB when the directory was made and is 32MiB now" + rest);
  EXPECT_EQ(refusal({"/streams/a/shards", "8"}), "\"shards\" of stream \"a\" differs from the directory's" + rest);
  EXPECT_EQ(refusal({"/streams/a/partition/by", "modulo"}),
            "\"partition\" of stream \"a\" differs from the directory's" + rest);
  const Setting range{"/streams/a/partition", R"({"by": "range", "boundaries": [3]})"};
  const Setting other{"/streams/a/partition", R"({"by": "range", "boundaries": [4]})"};
  EXPECT_EQ(revise(with({range}), with({other})).error().message,
            "\"partition\" of stream \"a\" differs from the directory's" + rest);
  EXPECT_EQ(refusal({"/streams/a/key", "/x"}), "\"key\" of stream \"a\" differs from the directory's" + rest);
  EXPECT_EQ(refusal({"/streams/b/external", "in"}), "\"external\" of stream \"b\" differs from the directory's" + rest);
  EXPECT_EQ(refusal({"/streams/b/transport", "fused"}),
            "\"transport\" of stream \"b\" differs from the directory's" + rest);
}

TEST(Revise, KeepsEveryNumberAndGivesNewOnesBehind) {
  const auto grown = revise(with({}), with({{"/stages/q", R"({"plugin": "console.print", "input": "b"})"}}));
  ASSERT_TRUE(grown.ok());
  EXPECT_THAT(names(grown->stages), ElementsAre("n", "s", "p", "q"));
  EXPECT_THAT(names(grown->streams), ElementsAre("a", "b"));

  Topology turned = with({});
  std::swap(turned.streams[0], turned.streams[1]);
  for (StageSpec& stage : turned.stages) {
    for (auto* ports : {&stage.inputs, &stage.outputs}) {
      for (PortBinding& port : *ports) port.stream = 1 - port.stream;
    }
  }
  std::swap(turned.stages[0], turned.stages[2]);
  turned.stages[0].host = 0;
  turned.stages[2].host = 2;
  EXPECT_EQ(encode_resolved(*revise(with({}), turned)), encode_resolved(with({})));
}

TEST(Revise, LetsWhatIsNoLongerThereRestAtItsPlaceUntilItIsBack) {
  Topology less = with({{"/stages/q", R"({"plugin": "console.print", "input": "b"})"}});
  std::erase_if(less.stages, [](const StageSpec& stage) { return stage.name == "p"; });
  less.stages[2].host = 2;
  const auto rested = revise(with({}), less);
  ASSERT_TRUE(rested.ok());
  EXPECT_THAT(names(rested->stages), ElementsAre("n", "s", "(p)", "q"));
  EXPECT_EQ(rested->stages[3].host, 3U);
  const auto read_back = decode_resolved(encode_resolved(*rested));
  ASSERT_TRUE(read_back.ok());
  EXPECT_THAT(names(read_back->stages), ElementsAre("n", "s", "(p)", "q"));

  const Topology seen = without_resting(*rested);
  EXPECT_TRUE(seen.stages[2].inputs.empty());
  EXPECT_EQ(seen.stages[3].inputs.size(), 1U);

  const auto back = revise(*rested, with({}));
  ASSERT_TRUE(back.ok());
  EXPECT_THAT(names(back->stages), ElementsAre("n", "s", "p", "(q)"));
}

TEST(Revise, KeepsThePlaceOfAnInputThatIsNoLongerRead) {
  Topology two = with({});
  two.stages[2].inputs = {{"in", 0}, {"in", 1}};
  const auto rested = revise(two, with({}));
  ASSERT_TRUE(rested.ok());
  ASSERT_EQ(rested->stages[2].inputs.size(), 2U);
  EXPECT_EQ(rested->stages[2].inputs[0].stream, 0U);
  EXPECT_TRUE(rested->stages[2].inputs[0].resting);
  EXPECT_FALSE(rested->stages[2].inputs[1].resting);
  EXPECT_EQ(without_resting(*rested).stages[2].inputs.size(), 1U);
  // The one that is read again has its old turn, whatever the file says.
  std::swap(two.stages[2].inputs[0], two.stages[2].inputs[1]);
  const auto back = revise(*rested, two);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->stages[2].inputs[0].stream, 0U);
  EXPECT_FALSE(back->stages[2].inputs[0].resting);
}

TEST(Revise, RefusesAStageThatIsFusedElsewhere) {
  Topology fused = with({});
  fused.stages[2].host = 1;
  const auto revised = revise(fused, with({}));
  ASSERT_FALSE(revised.ok());
  EXPECT_EQ(revised.error().message,
            "stage \"p\" was fused into \"s\" and is on its own now; use another data directory, or --fresh to start "
            "over");
}

TEST(Revise, RefusesANewSinkThatWouldReplaceWhatOneThatIsLeftOutHasWritten) {
  const auto topology = [](const std::string& name, const std::string& path, const std::string& more = "") {
    const Loaded loaded = load(R"({"name": "t", "streams": {"a": {}}, "stages": {
  "n": {"plugin": "generate.sequence", "output": "a", "config": {"to": 3, "from": 1}},
  ")" + name + R"(": {"plugin": "file.write", "input": "a", "config": {"path": ")" +
                                   path + R"("}})" + more + "}}",
                               {});
    WEIR_CHECK(loaded.topology.has_value(), findings(loaded));
    return *loaded.topology;
  };
  const auto refused = revise(topology("w", "/out"), topology("w2", "/out"));
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message,
              testing::StartsWith("stage \"w2\" would start anew and replace /out, which \"w\" has written"));
  EXPECT_TRUE(revise(topology("w", "/out"), topology("w2", "/elsewhere")).ok());
  EXPECT_TRUE(revise(topology("w", "/out"), topology("w", "/out")).ok());
  const auto left_out = revise(topology("w", "/out"), topology("w2", "/elsewhere"));
  EXPECT_TRUE(revise(*left_out, topology("w", "/out")).ok()) << "it is back, and goes on";
}

TEST(Revise, SaysWhereTwoConfigurationsDiffer) {
  EXPECT_EQ(config_difference(R"({"a": 1, "b": "x"})", R"({"b": "y", "a": 1})"), R"( ("b" was "x" and is "y"))");
  EXPECT_EQ(config_difference(R"({"a": 1})", R"({"a": 1, "c": 2})"), R"( ("c" was not there and is 2))");
  EXPECT_EQ(config_difference("[1]", "[2]"), "");
}

}  // namespace
}  // namespace weir
