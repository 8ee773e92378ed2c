// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/compatible.h"

#include <gtest/gtest.h>

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
  const Status status = compatible(with({}), with({setting}));
  return status ? "" : status.error().message;
}

TEST(Compatible, TakesWhatMayChangeOnADirectory) {
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
                            {"/stages/n/config", R"({"from": 1, "to": 3})"},
                            {"/streams/a/durability", "fsync"}})
    EXPECT_EQ(refusal(setting), "") << setting.pointer;
}

TEST(Compatible, RefusesAnythingElseAndNamesIt) {
  const std::string rest = "; use another data directory, or --fresh to start over";
  EXPECT_EQ(refusal({"/name", "u"}), "the directory belongs to topology \"t\", not \"u\"" + rest);
  EXPECT_EQ(refusal({"/broker/segment_size", "32MiB"}),
            "\"segment_size\" was 64MiB when the directory was made and is 32MiB now" + rest);
  EXPECT_EQ(refusal({"/streams/a/shards", "8"}), "\"shards\" of stream \"a\" differs from the directory's" + rest);
  EXPECT_EQ(refusal({"/streams/a/partition/by", "modulo"}),
            "\"partition\" of stream \"a\" differs from the directory's" + rest);
  EXPECT_EQ(refusal({"/streams/a/key", "/x"}), "\"key\" of stream \"a\" differs from the directory's" + rest);
  EXPECT_EQ(refusal({"/streams/a/durability", "none"}),
            "\"durability\" of stream \"a\" differs from the directory's" + rest);
  EXPECT_EQ(refusal({"/streams/b/dispatch", "round_robin"}),
            "\"dispatch\" of stream \"b\" differs from the directory's" + rest);
  EXPECT_EQ(refusal({"/streams/b/external", "in"}), "\"external\" of stream \"b\" differs from the directory's" + rest);
  EXPECT_EQ(refusal({"/streams/b/transport", "fused"}),
            "\"transport\" of stream \"b\" differs from the directory's" + rest);
  EXPECT_EQ(refusal({"/stages/s/plugin", "keyed.count"}),
            "\"plugin\" of stage \"s\" differs from the directory's" + rest);
  EXPECT_EQ(refusal({"/stages/n/config/to", "4"}), "\"config\" of stage \"n\" differs from the directory's" + rest);
  EXPECT_EQ(refusal({"/stages/q", R"({"plugin": "console.print", "input": "b"})"}),
            "stage \"q\" is in this topology, not in the directory's" + rest);
}

}  // namespace
}  // namespace weir
