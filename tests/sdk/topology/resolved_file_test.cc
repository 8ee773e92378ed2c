// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/resolved_file.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/sdk/topology/standard_plugins.h"

namespace weir {
namespace {

Topology sample() {
  const Loaded loaded = load(R"({"name": "t", "libraries": ["x.so"], "http": null,
    "broker": {"data_dir": "d", "listen": "tcp://*:7000", "durability": "interval", "interval": "7ms"},
    "streams": {"a": {"external": "in", "key": ["/x"], "partition": {"by": "modulo"}, "dispatch": "round_robin", "durability": "none"},
                "b": {"transport": "fused"},
                "l": {"external": "in", "dispatch": "priority", "priority": {"field": "/p", "weights": [9, 2], "default": 0}},
                "h": {"external": "in", "dispatch": "priority", "priority": {"levels": 4}},
                "r": {"external": "in", "partition": {"by": "range", "boundaries": [-3, 1.0, 2.5, 18446744073709551615]}},
                "q": {"external": "in", "partition": {"by": "range", "boundaries": ["${B:-é}"]}}, "x": {}},
    "stages": {
      "s": {"plugin": "keyed.sum", "input": "a", "output": "b", "config": {"field": "${F:-/é}"}, "workers": 3,
            "on_error": {"retries": 2, "then": "fail"}},
      "w": {"plugin": "file.write", "input": "b", "config": {"path": "o-{shard}"}, "workers": 3},
      "f": {"plugin": "filter", "input": ["l", "h"], "output": "x", "config": {"where": {"field": "", "op": "exists"}}},
      "y": {"plugin": "console.print", "input": "x"},
      "p": {"plugin": "console.print", "input": "r"},
      "o": {"plugin": "console.print", "input": "q"}}})");
  WEIR_CHECK(loaded.topology.has_value(), findings(loaded));
  return *loaded.topology;
}

TEST(ResolvedFile, GivesBackEveryFieldOfATopology) {
  const Topology before = sample();
  const std::string text = encode_resolved(before);
  const Result<Topology> after = decode_resolved(text);
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(encode_resolved(*after), text);
  EXPECT_EQ(after->name, "t");
  EXPECT_EQ(after->libraries, std::vector<std::string>{"/etc/weir/x.so"});
  EXPECT_FALSE(after->http);
  EXPECT_FALSE(after->http_is_default);
  EXPECT_EQ(after->broker.data_dir, "d");
  EXPECT_EQ(after->broker.listen, "tcp://*:7000");
  EXPECT_EQ(after->broker.durability, Durability::kInterval);
  EXPECT_EQ(after->broker.interval.count(), 7000);
  EXPECT_EQ(after->broker.segment_bytes, before.broker.segment_bytes);
  EXPECT_EQ(after->broker.memory_bytes, before.broker.memory_bytes);
  EXPECT_EQ(after->broker.transaction_bytes_max, before.broker.transaction_bytes_max);
  const Stream& stream = *after->find_stream("a");
  EXPECT_TRUE(stream.external_in && stream.key_is_list);
  EXPECT_EQ(stream.key, std::vector<std::string>{"/x"});
  EXPECT_EQ(stream.partition, PartitionBy::kModulo);
  EXPECT_EQ(stream.shards, 32U);
  EXPECT_EQ(stream.dispatch, Dispatch::kRoundRobin);
  EXPECT_EQ(stream.durability, Durability::kNone);
  EXPECT_EQ(stream.backlog_bytes_max, 1U << 30);
  EXPECT_EQ(after->find_stream("b")->transport, Transport::kFused);
  const std::vector<Boundary> numbers = {std::int64_t{-3}, 1.0, 2.5, std::numeric_limits<std::uint64_t>::max()};
  EXPECT_EQ(after->find_stream("r")->boundaries, numbers);
  EXPECT_EQ(after->find_stream("r")->shards, 5U);
  EXPECT_EQ(after->find_stream("q")->boundaries, std::vector<Boundary>{"é"});
  EXPECT_EQ(after->find_stream("l")->priority, (Priority{{9, 2}, "/p", 0}));
  EXPECT_EQ(after->find_stream("l")->shards, 2U);
  EXPECT_EQ(after->find_stream("h")->priority, (Priority{{64, 16, 4, 1}, std::nullopt, 3}));
  EXPECT_EQ(after->find_stream("h")->dispatch, Dispatch::kPriority);
  const StageSpec& sum = *after->find_stage("s");
  EXPECT_EQ(sum.config, R"({"field":"${F:-/é}"})") << "no secret is written out";
  EXPECT_EQ(sum.retries, 2U);
  EXPECT_EQ(sum.then, OnErrorThen::kFail);
  EXPECT_TRUE(sum.keyed && sum.key_preserving);
  EXPECT_EQ(sum.commit_after, before.stages[0].commit_after);
  EXPECT_EQ(sum.deadline, before.stages[0].deadline);
  EXPECT_EQ(sum.deadline.count(), 60'000'000);
  const StageSpec& write = *after->find_stage("w");
  EXPECT_EQ(write.host, 0U);
  EXPECT_EQ(write.kind, PluginKind::kSink);
  EXPECT_EQ(write.sharing, Sharing::kShard);
  EXPECT_EQ(write.workers, 3U);
  ASSERT_EQ(write.inputs.size(), 1U);
  EXPECT_EQ(write.inputs[0].port, "in");
  EXPECT_EQ(write.inputs[0].stream, 1U);
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const std::size_t at = text.find(what);
  WEIR_CHECK(at != std::string::npos, what);
  return text.replace(at, what.size(), by);
}

TEST(ResolvedFile, RefusesWhatNoLauncherWrote) {
  const std::string text = encode_resolved(sample());
  EXPECT_FALSE(decode_resolved(""));
  EXPECT_FALSE(decode_resolved("[]"));
  EXPECT_EQ(decode_resolved(replaced(text, "\"version\": 1", "\"version\": 2")).error().message,
            "the resolved topology has version 2, this program reads version 1: run the Weir that wrote it");
  EXPECT_EQ(decode_resolved(replaced(text, "\"name\": \"t\"", "\"nome\": \"t\"")).error().message,
            "the resolved topology is damaged: \"name\" is missing");
  EXPECT_EQ(decode_resolved(replaced(text, "\"name\": \"t\"", "\"name\": \"t\", \"more\": 1")).error().message,
            "the resolved topology is damaged: there is a field that this version does not know");
  EXPECT_FALSE(decode_resolved(replaced(text, "\"host\": 0", "\"host\": 9")));
  EXPECT_FALSE(decode_resolved(replaced(text, "\"stream\": 0", "\"stream\": 9")));
  EXPECT_FALSE(decode_resolved(replaced(text, "\"workers\": 3", "\"workers\": 0")));
  EXPECT_FALSE(decode_resolved(replaced(text, "\"workers\": 3", "\"workers\": 4294967296")));
  EXPECT_FALSE(decode_resolved(replaced(text, "\"workers\": 3", "\"workers\": -1")));
  EXPECT_FALSE(decode_resolved(replaced(text, "\"interval\"", "\"fsinc\"")));
}

TEST(ResolvedFile, SurvivesBeingCutAtEveryByte) {
  const std::string text = encode_resolved(sample());
  for (std::size_t size = 0; size < text.size(); ++size) EXPECT_FALSE(decode_resolved(text.substr(0, size))) << size;
}

}  // namespace
}  // namespace weir
