// SPDX-License-Identifier: Apache-2.0
// What must be on disk at once, and how often a worker is told how far its transactions have come.
#include <gtest/gtest.h>

#include "broker/core/core.h"
#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

using namespace std::chrono_literals;

/// Its workers may send a MiB before they have to hear of it.
Topology chain() {
  Topology topology = small_chain("chain");
  for (StageSpec& stage : topology.stages) stage.memory_bytes = 4 << 20;
  return topology;
}

class AwaitedTest : public CoreFixture {
 protected:
  AwaitedTest() : CoreFixture(chain()) {}

  void consume(Peer& peer, std::uint32_t stream, const std::vector<BytesView>& frames = {}) {
    wire::Commit commit;
    commit.consumed = {{stream, 0, 0, 1}};
    this->commit(peer, commit, frames);
  }
};

TEST_F(AwaitedTest, NobodyWaitsForWhatASourceCommitsForAStage) {
  Peer read = ready("read");
  commit(read, {}, {frame_of_one()});
  EXPECT_FALSE(out_.awaited);
}

TEST_F(AwaitedTest, ASinkWaitsForTheRecordsThatItReads) {
  Peer work = ready("work");
  commit(work, {}, {frame_of_one(1)});
  EXPECT_TRUE(out_.awaited);
}

TEST_F(AwaitedTest, NobodyWaitsForWhatASinkHasDone) {
  Peer read = ready("read");
  Peer work = ready("work");
  Peer write = ready("write");
  commit(read, {}, {frame_of_one()});
  consume(work, 0, {frame_of_one(1)});
  settle();
  ASSERT_EQ(out_.count_to(write.incarnation, MessageType::kDeliver), 1U);
  consume(write, 1);
  ASSERT_EQ(out_.fenced_why(), "");
  EXPECT_FALSE(out_.awaited);
}

TEST_F(AwaitedTest, AnEndIsWaitedFor) {
  Peer read = ready("read");
  wire::Commit last;
  last.enumeration_ended = true;
  commit(read, last);
  EXPECT_TRUE(out_.awaited);
}

TEST_F(AwaitedTest, WhileTheTopologyStopsEverythingIsWaitedFor) {
  Peer read = ready("read");
  core_.drain(now_);
  commit(read, {}, {frame_of_one()});
  EXPECT_TRUE(out_.awaited);
}

TEST_F(AwaitedTest, AWorkerIsToldOfManyTransactionsAtOnce) {
  Peer read = ready("read");
  commit(read, {}, {frame_of_one()});
  ASSERT_EQ(out_.count_to(read.incarnation, MessageType::kCommitted), 1U);
  for (int i = 0; i < 10; ++i) commit(read, {}, {frame_of_one()});
  settle();
  EXPECT_EQ(out_.count_to(read.incarnation, MessageType::kCommitted), 1U);
  now_ += 5ms;
  core_.pump(now_);
  EXPECT_EQ(out_.count_to(read.incarnation, MessageType::kCommitted), 2U);
  const auto told = wire::decode_totals(wire::body_of(out_.sent.back().message));
  ASSERT_TRUE(told.ok());
  EXPECT_EQ(told->first, 11U);
  EXPECT_EQ(told->second, 11U);
}

TEST_F(AwaitedTest, AWorkerIsToldBeforeItsWindowIsFull) {
  Peer read = ready("read");
  commit(read, {}, {frame_of_one()});
  const std::size_t before = out_.count_to(read.incarnation, MessageType::kCommitted);
  const std::uint64_t window =
      wire::commit_window(topology_.broker.transaction_bytes_max, topology_.stages[0].memory_bytes);
  std::uint64_t bytes = 0;
  while (bytes <= window / 4) {
    commit(read, {}, {frame_of_one()});
    bytes += out_.payloads.back().size();
  }
  EXPECT_GT(out_.count_to(read.incarnation, MessageType::kCommitted), before);
}

}  // namespace
}  // namespace weir::core
