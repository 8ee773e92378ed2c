// SPDX-License-Identifier: Apache-2.0
// "boundaries": "auto": what it becomes, and what does not bear that they move.
#include <gtest/gtest.h>

#include "sdk/topology/resolved_file.h"
#include "sdk/topology/revise.h"
#include "tests/sdk/topology/standard_plugins.h"

namespace weir {
namespace {

/// Words are counted by `count`; `words` and the stage are as they are told, `more` streams and stages beside.
std::string file(const std::string& words, const std::string& count, const std::string& streams = "",
                 const std::string& stages = "") {
  return R"({"name": "t",
"streams": {"lines": {},
"words": )" +
         words + R"(,
"counts": {})" +
         streams + R"(},
"stages": {
"read": {"plugin": "file.lines", "output": "lines", "config": {"path": "in"}},
"split": {"plugin": "text.words", "input": "lines", "output": "words", "workers": 2},
"count": )" +
         count +
         R"(,
"write": {"plugin": "file.write", "input": "counts", "config": {"path": "out"}})" +
         stages + "}}";
}

const std::string kAuto = R"({"partition": {"by": "range", "boundaries": "auto"}, "shards": 8})";
const std::string kCount = R"({"plugin": "keyed.count", "input": "words", "output": "counts", "workers": 2})";

Topology topology_of(const std::string& text) {
  Loaded loaded = load(text);
  EXPECT_EQ(findings(loaded), "");
  return loaded.topology.value_or(Topology());
}

TEST(LearnedBoundaries, HaveTheShardsThatTheyAreToldAndNoBoundary) {
  const Topology topology = topology_of(file(kAuto, kCount));
  const Stream& words = *topology.find_stream("words");
  EXPECT_TRUE(words.learns_boundaries);
  EXPECT_TRUE(words.boundaries.empty());
  EXPECT_EQ(words.shards, 8U);
  EXPECT_EQ(topology_of(file(R"({"partition": {"by": "range", "boundaries": "auto"}})", kCount)).streams[1].shards,
            32U);
  const auto again = decode_resolved(encode_resolved(topology));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_TRUE(again->find_stream("words")->learns_boundaries);
  EXPECT_EQ(encode_resolved(*again), encode_resolved(topology));
}

TEST(LearnedBoundaries, CannotBecomeOthersOnADirectory) {
  const Topology with = topology_of(file(kAuto, kCount));
  const Topology without =
      topology_of(file(R"({"partition": {"by": "range", "boundaries": [1, 2, 3, 4, 5, 6, 7]}})", kCount));
  for (const auto& [before, now] : {std::pair(&with, &without), std::pair(&without, &with)}) {
    const auto revised = revise(*before, *now);
    ASSERT_FALSE(revised.ok());
    EXPECT_EQ(revised.error().message,
              "\"partition\" of stream \"words\" differs from the directory's; use another data directory, or --fresh "
              "to start over");
  }
}

TEST(LearnedBoundaries, AreRefusedWhereTheyCouldNotMove) {
  const auto refused = [](const std::string& count, const std::string& words = kAuto, const std::string& streams = "",
                          const std::string& stages = "") {
    return findings(load(file(words, count, streams, stages)));
  };
  const std::string are = "the boundaries of stream \"words\" are \"auto\", but ";
  const std::string range = R"("partition": {"by": "range", "boundaries": "auto"}, "shards": 8)";
  const std::string other = "; write the boundaries down, or partition by \"hash\"\n";
  EXPECT_EQ(refused(kCount, "{\"external\": \"both\", " + range + "}"),
            "t.json:3: /streams/words/external: " + are +
                "programs outside read it shard by shard, and would see a key in two of them at once; write the "
                "boundaries down, or leave \"external\" out\n");
  EXPECT_EQ(refused(kCount, "{\"retention\": {\"time\": \"1h\"}, " + range + "}"),
            "t.json:3: /streams/words/retention: " + are +
                "nothing of it can be replayed: what is kept lies in shards that were other ones then; write the "
                "boundaries down, or leave \"retention\" out\n");
  EXPECT_EQ(
      refused(R"({"plugin": "keyed.count", "input": "words", "output": "counts", "on_error": {"then": "park_key"}})"),
      "t.json:8: /stages/count/input: " + are + "stage \"count\" parks keys, and what is parked stays in its shard" +
          other);
  // Not even another one like it: each learns for itself.
  EXPECT_EQ(
      refused(R"({"plugin": "keyed.count", "input": ["words", "more"], "output": "counts"})", kAuto,
              ", \"more\": {\"external\": \"in\", " + range + "}"),
      "t.json:8: /stages/count/input/1: the inputs of a stage must agree: \"words\" is partitioned by range into 8 "
      "shards that it learns, \"more\" is partitioned by range into 8 shards that it learns; what learns its "
      "boundaries is the only "
      "input of each stage that reads it\n");
}

TEST(LearnedBoundaries, AreRefusedInALoop) {
  const std::string said = findings(load(R"({"name": "t",
"streams": {"in": {"external": "in"}, "round": {"loop": true, "partition": {"by": "range", "boundaries": "auto"}}, "out": {}},
"stages": {
"more": {"plugin": "text.words", "input": ["in", "round"], "output": "out"},
"again": {"plugin": "filter", "input": "out", "output": "round", "config": {}}}})"));
  EXPECT_NE(said.find("must agree"), std::string::npos) << said;
}

}  // namespace
}  // namespace weir
