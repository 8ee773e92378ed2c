// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/topologies.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "topologies/bench/workload.h"

namespace weir::bench {
namespace {

TEST(BenchTopologies, HaveTheCommitAfterThatIsAskedForAndElseTheDefault) {
  const Workload workload = Workload::of_size(10, 3, 100);
  for (const std::string& name : topology_names()) {
    const auto usual = make_topology(name, workload);
    const auto asked = make_topology(name, workload, "1s");
    ASSERT_GE(usual["stages"].size(), 2U) << name;
    for (const auto& stage : usual["stages"].items()) {
      EXPECT_FALSE(stage.value().contains("commit_after")) << name;
      EXPECT_EQ(asked["stages"][stage.key()]["commit_after"], "1s") << name;
    }
  }
}

}  // namespace
}  // namespace weir::bench
