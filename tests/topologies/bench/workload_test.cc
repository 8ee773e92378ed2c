// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/workload.h"

#include <gtest/gtest.h>

#include <set>

namespace weir::bench {
namespace {

TEST(BenchWorkload, TakesTheBytesThatAreAskedFor) {
  for (const std::size_t bytes : {40, 67, 68, 100, 291, 292, 1000, 65536, 66000, 1 << 20}) {
    const std::size_t made = Workload::of_size(1, 1, bytes).record_bytes();
    EXPECT_LE(made, bytes);
    EXPECT_GE(made + 2, bytes) << "of the lengths around a change of the text's header some are no record's";
  }
  EXPECT_EQ(Workload::of_size(1, 1, 100).record_bytes(), 100U);
}

TEST(BenchWorkload, UsesItsKeysAlike) {
  const Workload workload = Workload::of_size(100'000, 100, 100);
  std::vector<int> seen(100);
  for (std::uint64_t i = 0; i < workload.records; ++i) ++seen.at(workload.key_of(i));
  for (const int count : seen) EXPECT_NEAR(count, 1000, 200);
}

}  // namespace
}  // namespace weir::bench
