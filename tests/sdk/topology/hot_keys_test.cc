// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/hot_keys.h"

#include <gtest/gtest.h>

#include "sdk/topology/graph.h"
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

const std::string kSplit = R"({"partition": {"by": "hash", "hot_keys": "split"}, "shards": 8})";
const std::string kCount = R"({"plugin": "keyed.count", "input": "words", "output": "counts", "workers": 2})";

Topology topology_of(const std::string& text) {
  Loaded loaded = load(text);
  EXPECT_EQ(findings(loaded), "");
  return loaded.topology.value_or(Topology());
}

std::vector<std::string> names(const Topology& topology, const std::vector<PortBinding>& bindings) {
  std::vector<std::string> names;
  for (const PortBinding& binding : bindings) names.push_back(topology.streams[binding.stream].name);
  return names;
}

using Names = std::vector<std::string>;

TEST(HotKeys, BecomeASecondStreamAndOneForPartialResults) {
  const Topology topology = topology_of(file(kSplit, kCount));
  ASSERT_EQ(topology.streams.size(), 5U);
  EXPECT_EQ(names(topology, topology.find_stage("split")->outputs), (Names{"words", "words.hot"}));
  EXPECT_EQ(names(topology, topology.find_stage("count")->inputs), (Names{"words", "words.hot", "count.partials"}));
  EXPECT_EQ(names(topology, topology.find_stage("count")->outputs), (Names{"counts", "count.partials"}));
  const Stream& hot = *topology.find_stream("words.hot");
  const Stream& partials = *topology.find_stream("count.partials");
  EXPECT_EQ(hot.shards, 8U);
  EXPECT_EQ(partials.shards, 8U);
  EXPECT_EQ(partials.partition, PartitionBy::kHash);
  EXPECT_TRUE(partials.loop);
  EXPECT_FALSE(hot.loop);
  EXPECT_EQ(shared_part(topology, *topology.find_stream("words")), 3U);
  EXPECT_EQ(shared_part(topology, hot), std::nullopt);
  EXPECT_EQ(partials_of(topology, *topology.find_stage("count")), 4U);
  EXPECT_EQ(partials_of(topology, *topology.find_stage("split")), std::nullopt);
}

TEST(HotKeys, AreNothingUnlessAskedFor) {
  EXPECT_EQ(topology_of(file(R"({"partition": {"by": "hash"}})", kCount)).streams.size(), 3U);
  EXPECT_EQ(topology_of(file(R"({"partition": {"by": "hash", "hot_keys": "none"}})", kCount)).streams.size(), 3U);
  const std::string text = encode_resolved(topology_of(file(R"({"partition": {"by": "hash"}})", kCount)));
  EXPECT_EQ(text.find("hot"), std::string::npos) << "so that an older Weir reads it";
}

TEST(HotKeys, ShareOneStreamForPartialResultsWhereAStageReadsTwo) {
  const Topology topology = topology_of(
      file(kSplit, R"({"plugin": "keyed.count", "input": ["words", "more"], "output": "counts", "workers": 2})",
           R"(, "more": {"external": "in", "partition": {"by": "hash", "hot_keys": "split"}, "shards": 8})"));
  EXPECT_EQ(names(topology, topology.find_stage("count")->inputs),
            (Names{"words", "more", "words.hot", "count.partials", "more.hot"}));
  EXPECT_TRUE(topology.find_stream("more.hot")->external_in) << "it does not end before what comes from outside";
  EXPECT_FALSE(topology.find_stream("count.partials")->external_in);
}

TEST(HotKeys, AreWrittenAndReadAgain) {
  const Topology topology = topology_of(file(kSplit, kCount));
  const auto read = decode_resolved(encode_resolved(topology));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->find_stream("words")->hot_keys, HotKeys::kSplit);
  EXPECT_EQ(read->find_stream("words.hot")->hot_keys, HotKeys::kShared);
  EXPECT_EQ(read->find_stream("count.partials")->hot_keys, HotKeys::kPartials);
  std::string without = encode_resolved(topology);
  without.replace(without.find("words.hot"), 9, "words.not");
  EXPECT_FALSE(decode_resolved(without).ok()) << "a stream without a place for hot keys is damage";
}

TEST(HotKeys, CannotChangeOnADirectory) {
  const Topology with = topology_of(file(kSplit, kCount));
  const Topology without = topology_of(file(R"({"partition": {"by": "hash"}, "shards": 8})", kCount));
  for (const auto& [before, now] : {std::pair(&with, &without), std::pair(&without, &with)}) {
    const auto revised = revise(*before, *now);
    ASSERT_FALSE(revised.ok());
    EXPECT_EQ(
        revised.error().message,
        "\"hot_keys\" of stream \"words\" differs from the directory's; use another data directory, or --fresh to "
        "start over");
  }
  const Topology wider = topology_of(file(kSplit, kCount, R"(, "lengths": {})", R"(,
"sum": {"plugin": "keyed.sum", "input": "words", "output": "lengths", "workers": 2},
"list": {"plugin": "file.write", "input": "lengths", "config": {"path": "list"}})"));
  const auto revised = revise(with, wider);
  ASSERT_TRUE(revised.ok()) << revised.error().message;
  EXPECT_EQ(names(*revised, revised->find_stage("sum")->inputs), (Names{"words", "words.hot", "sum.partials"}));
  EXPECT_EQ(revised->find_stream("words.hot") - revised->streams.data(), 3) << "it keeps its number";
}

TEST(HotKeys, AreRefusedWhereRecordsMustLieInTheirShard) {
  for (const char* by : {R"("by": "modulo")", R"("by": "none")", R"("by": "range", "boundaries": [3])"}) {
    const std::string said =
        findings(load(file(R"({"partition": {)" + std::string(by) + R"(, "hot_keys": "split"}})", kCount)));
    EXPECT_NE(
        said.find("t.json:3: /streams/words/partition/hot_keys: only records partitioned by \"hash\" can be split; "
                  "write \"by\": \"hash\", or leave \"hot_keys\" out\n"),
        std::string::npos)
        << said;
  }
}

TEST(HotKeys, AreRefusedWhereTheyCouldNotBeMerged) {
  const auto refused = [](const std::string& count, const std::string& words = kSplit, const std::string& streams = "",
                          const std::string& stages = "") {
    return findings(load(file(words, count, streams, stages)));
  };
  const std::string hot = "the hot keys of stream \"words\" are split, but ";
  EXPECT_EQ(refused(R"({"plugin": "filter", "input": "words", "output": "counts", "config": {}})"),
            "t.json:8: /stages/count/input: " + hot +
                "plugin \"filter\" cannot merge partial results (`weir plugins --json` says which can); leave its "
                "\"hot_keys\" out\n");
  EXPECT_EQ(refused(R"({"plugin": "keyed.reduce", "input": "words", "output": "counts", "config": {"op": "last"}})"),
            "t.json:8: /stages/count/input: " + hot +
                "the result of stage \"count\" depends on the order of a key's records; leave its \"hot_keys\" out\n");
  EXPECT_EQ(
      refused(R"({"plugin": "keyed.count", "input": "words", "output": "counts", "on_error": {"then": "park_key"}})"),
      "t.json:8: /stages/count/input: " + hot +
          "stage \"count\" parks keys, which have to be at one place; leave its \"hot_keys\" out\n");
  EXPECT_EQ(
      refused(kCount, R"({"external": "both", "partition": {"by": "hash", "hot_keys": "split"}, "shards": 8})"),
      "t.json:3: /streams/words/partition/hot_keys: programs outside read stream \"words\", and would not be given the "
      "records of hot keys; let them read another stream, or leave \"hot_keys\" out\n");
  EXPECT_EQ(
      refused(kCount, kSplit, R"(, "back": {"loop": true, "partition": {"by": "hash"}, "shards": 8})",
              R"(,
"again": {"plugin": "filter", "input": "counts", "output": "back", "config": {}},
"more": {"plugin": "text.words", "input": "back", "output": "words"})"),
      "t.json:8: /stages/count/input: " + hot + "stage \"count\" is part of a loop; leave its \"hot_keys\" out\n");
}

TEST(HotKeys, AreWarnedOfWhereTheyBringNothingOrComeLate) {
  EXPECT_EQ(findings(load(file(kSplit, R"({"plugin": "keyed.count", "input": "words", "output": "counts"})"))),
            "t.json:3: /streams/words/partition/hot_keys: warning: stage \"count\" has one worker, among which nothing "
            "can be shared out: splitting the hot keys of \"words\" costs time and brings nothing\n");
  EXPECT_EQ(
      findings(load(file(kSplit, R"({"plugin": "keyed.count", "input": "words", "output": "keyed", "workers": 2})",
                         R"(, "keyed": {"partition": {"by": "hash"}})", R"(,
"clock": {"plugin": "test.clock", "input": "keyed", "output": "counts"})"))),
      "t.json:10: /stages/clock: warning: stage \"clock\" waits for event time, and what stage \"count\" emits of "
      "the hot keys of \"words\" may come behind it, as late records\n");
}

TEST(HotKeys, AreOneArrowInTheGraph) {
  const std::string graph = to_mermaid(topology_of(file(kSplit, kCount)));
  EXPECT_NE(graph.find("\"words, hash x 8, hot keys split\""), std::string::npos) << graph;
  EXPECT_EQ(graph.find("words.hot"), std::string::npos) << graph;
  EXPECT_EQ(graph.find("partials"), std::string::npos) << graph;
}

}  // namespace
}  // namespace weir
