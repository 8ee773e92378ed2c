// SPDX-License-Identifier: Apache-2.0
#include "stages/host/source_splits.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "stages/host/memory_engine.h"
#include "stages/host/memory_journal.h"
#include "tests/stages/host/one_source.h"
#include "weir/source.h"

namespace weir::host {
namespace {

/// Finds so many splits that a small transaction does not take them, with nothing in them.
class Many final : public Source {
 public:
  void splits(weir::SplitList& list) override {
    for (int i = 0; i < 2000; ++i) list.add("a folder with a long name/" + std::to_string(i));
  }
  Progress read(weir::Split&, Context&) override { return Progress::kEnd; }
};

TEST(SourceSplits, AreToldOfInTransactionsThatStaySmall) {
  static const std::array kStages = {stage<Many>("many")};
  const Topology topology = OneSource::topology_of(kStages.front());
  MemoryJournal journal(topology, 0);
  MemoryEngine engine(topology, 0, journal);
  engine.grant_publishing(1 << 20);
  OneSource source(kStages.front(), engine);
  for (int turns = 0; !journal.enumeration_ended() && turns < 100; ++turns) {
    ASSERT_FALSE(source.runner().turn()) << engine.failure();
  }
  EXPECT_TRUE(journal.enumeration_ended());
  EXPECT_EQ(journal.splits().size(), 2000U);
  for (const Bytes& body : journal.bodies()) EXPECT_LT(body.size(), 32U << 10);
}

}  // namespace
}  // namespace weir::host
