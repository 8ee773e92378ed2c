// SPDX-License-Identifier: Apache-2.0
// A transaction that no honest worker commits has it fenced, and harms nobody else.
#include <gtest/gtest.h>

#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

constexpr std::uint64_t kEntryBytesMax = 100'000;

Topology keyed_chain() {
  Topology topology = small_chain("keyed");
  topology.streams[0].partition = PartitionBy::kHash;
  topology.stages[1].keyed = true;
  return topology;
}

CoreOptions small_entries() {
  CoreOptions options;
  options.entry_bytes_max = kEntryBytesMax;
  return options;
}

class CommitTest : public CoreFixture {
 protected:
  CommitTest() : CoreFixture(keyed_chain(), small_entries()) { source_ = ready("read"); }

  /// The source emits a record of so many bytes.
  void emit(std::size_t bytes) {
    const Bytes frame = frame_of_one(0, 0, Bytes(bytes, std::byte{0xc0}));
    commit(source_, {}, {frame});
  }

  Peer source_;
};

TEST_F(CommitTest, IsFencedWhereNoEntryTakesIt) {
  constexpr std::size_t kHalf = kEntryBytesMax / 2;
  emit(kHalf);
  const std::size_t beside = out_.payloads.back().size() - kHalf;
  emit(kEntryBytesMax - beside);
  EXPECT_EQ(out_.fenced_why(), "");
  ASSERT_EQ(out_.payloads.back().size(), kEntryBytesMax);
  emit(kEntryBytesMax - beside + 1);
  EXPECT_NE(out_.fenced_why().find("100001 bytes of the journal, and one entry of that 100000 at most"),
            std::string::npos)
      << out_.fenced_why();
  EXPECT_EQ(core_.ledger().stream(0).records_total(), 2U);
}

TEST_F(CommitTest, IsFencedWhereItMovesASplitAndIsOfNoSource) {
  Peer work = ready("work");
  wire::Commit commit;
  commit.advanced = {{0, 1}};
  this->commit(work, commit);
  ASSERT_EQ(out_.fenced_why(), "") << "shard 0 is leased to it";
  commit.advanced.clear();
  commit.splits = {{0, false, {}}};
  this->commit(work, commit);
  EXPECT_EQ(out_.fenced_why(), "it moves a split that is not leased to it");
}

}  // namespace
}  // namespace weir::core
