// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sdk/topology/standard_plugins.h"

namespace weir {
namespace {

constexpr std::string_view kWordcount = R"({
  "name": "wordcount",
  "streams": {
    "lines":  {},
    "words":  { "partition": { "by": "hash" }, "shards": 32 },
    "counts": {}
  },
  "stages": {
    "read":  { "plugin": "file.lines", "output": "lines", "config": { "path": "/usr/share/common-licenses/*" } },
    "split": { "plugin": "text.words", "input": "lines", "output": "words", "workers": 2 },
    "count": { "plugin": "keyed.count", "input": "words", "output": "counts", "workers": 2, "config": { "emit": "final" } },
    "write": { "plugin": "file.write", "input": "counts", "config": { "path": "out/counts.jsonl" } }
  }
})";

TEST(Load, ReadsTheExampleOfTheDesignWithAllDefaults) {
  const Loaded loaded = load(kWordcount);
  ASSERT_EQ(findings(loaded), "");
  const Topology& topology = *loaded.topology;
  EXPECT_EQ(topology.name, "wordcount");
  EXPECT_EQ(topology.broker.data_dir, ".weir/wordcount");
  EXPECT_EQ(topology.broker.listen, "");
  EXPECT_EQ(topology.broker.durability, Durability::kFsync);
  EXPECT_EQ(topology.broker.interval.count(), 50'000);
  EXPECT_EQ(topology.broker.segment_bytes, 64U << 20);
  EXPECT_EQ(topology.broker.memory_bytes, 128U << 20);
  EXPECT_EQ(topology.broker.transaction_bytes_max, 8U << 20);
  EXPECT_EQ(topology.http, "127.0.0.1:9464");
  EXPECT_TRUE(topology.http_is_default);
  ASSERT_EQ(topology.streams.size(), 3U);
  const Stream& lines = *topology.find_stream("lines");
  EXPECT_EQ(lines.transport, Transport::kQueue);
  EXPECT_EQ(lines.partition, PartitionBy::kNone);
  EXPECT_EQ(lines.shards, 1U);
  EXPECT_EQ(lines.dispatch, Dispatch::kLeastLoaded);
  EXPECT_EQ(lines.backlog_bytes_max, 1U << 30);
  EXPECT_EQ(lines.durability, Durability::kFsync);
  EXPECT_FALSE(lines.external_in);
  EXPECT_EQ(topology.find_stream("words")->partition, PartitionBy::kHash);
  ASSERT_EQ(topology.stages.size(), 4U);
  const StageSpec& count = *topology.find_stage("count");
  EXPECT_EQ(count.plugin, "keyed.count");
  EXPECT_EQ(count.workers, 2U);
  ASSERT_EQ(count.inputs.size(), 1U);
  EXPECT_EQ(count.inputs[0].port, "in");
  EXPECT_EQ(topology.streams[count.inputs[0].stream].name, "words");
  EXPECT_EQ(count.config, R"({"emit":"final"})");
  EXPECT_EQ(count.memory_bytes, 256U << 20);
  EXPECT_EQ(count.retries, 0U);
  EXPECT_EQ(count.then, OnErrorThen::kDeadLetter);
  EXPECT_EQ(count.dead_letter_bytes_max, 256U << 20);
  EXPECT_EQ(count.commit_after.count(), 50'000);
  EXPECT_EQ(count.deadline.count(), 60'000'000);
  EXPECT_EQ(count.kind, PluginKind::kStage);
  EXPECT_TRUE(count.keyed);
  EXPECT_EQ(count.host, 2U);
  EXPECT_EQ(topology.find_stage("write")->config, R"({"path":"/etc/weir/out/counts.jsonl"})");
}

}  // namespace
}  // namespace weir
