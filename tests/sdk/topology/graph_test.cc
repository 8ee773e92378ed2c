// SPDX-License-Identifier: Apache-2.0
#include "sdk/topology/graph.h"

#include <gtest/gtest.h>

#include "tests/sdk/topology/standard_plugins.h"

namespace weir {
namespace {

Topology sample() {
  const Loaded loaded = load(R"({"name": "t", "streams": {"a": {"external": "in"}, "b": {"transport": "fused"},
      "c": {"partition": {"by": "hash"}, "shards": 8}}, "stages": {
    "n": {"plugin": "generate.sequence", "output": "a", "config": {"to": 1}},
    "j": {"plugin": "text.json", "input": "a", "output": "b", "workers": 2},
    "w": {"plugin": "text.words", "input": "b", "output": "c", "workers": 2},
    "p": {"plugin": "console.print", "input": "c"}}})");
  WEIR_CHECK(loaded.topology.has_value(), findings(loaded));
  return *loaded.topology;
}

TEST(Graph, IsDrawnForMermaid) {
  EXPECT_EQ(to_mermaid(sample()), R"(flowchart LR
  stage0(["n<br/>generate.sequence"])
  stage1["j x 2<br/>text.json"]
  stage2["w x 2<br/>text.words"]
  stage3(["p<br/>console.print"])
  outside0(("outside"))
  stage0 -->|"a"| stage1
  outside0 -->|"a"| stage1
  stage1 ==>|"b, fused"| stage2
  stage2 -->|"c, hash x 8"| stage3
)");
}

TEST(Graph, IsDrawnForGraphviz) {
  EXPECT_EQ(to_dot(sample()), R"(digraph "t" {
  rankdir=LR;
  node [shape=box];
  stage0 [label="n\ngenerate.sequence", style=rounded];
  stage1 [label="j x 2\ntext.json"];
  stage2 [label="w x 2\ntext.words"];
  stage3 [label="p\nconsole.print", style=rounded];
  outside0 [label="outside", shape=circle];
  stage0 -> stage1 [label="a"];
  outside0 -> stage1 [label="a"];
  stage1 -> stage2 [label="b, fused", style=bold];
  stage2 -> stage3 [label="c, hash x 8"];
}
)");
}

}  // namespace
}  // namespace weir
