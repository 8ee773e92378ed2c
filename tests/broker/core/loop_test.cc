// SPDX-License-Identifier: Apache-2.0
// Loops, under hand-made events: when one ends, what it holds back and what it does not.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

/// A source fills "in", and "work" reads that and its own output, "again".
Topology loop_topology() {
  Topology topology = small_topology("loop");
  topology.streams = {small_stream("in"), small_stream("again")};
  topology.streams[1].loop = true;
  topology.streams[1].backlog_bytes_max = 64;
  StageSpec work = working_stage(1);
  work.inputs = {{"in", 0}, {"in", 1}};
  work.outputs = {{"out", 1}};
  topology.stages = {source_stage(), work};
  return topology;
}

class LoopTest : public CoreFixture {
 protected:
  LoopTest() : CoreFixture(loop_topology()) {
    settle();
    read_ = ready("read");
    wire::Commit found;
    found.splits_found = {"a"};
    found.enumeration_ended = true;
    commit(read_, found);
    work_ = ready("work");
  }

  void emit(bool last) {
    wire::Commit commit;
    commit.splits = {{0, last, {}}};
    const Bytes frame = frame_of_one(0);
    this->commit(read_, commit, {frame});
    settle();
  }
  /// The worker commits the next record of `stream`, and sends one round, or not.
  void work(std::uint32_t stream, bool round) {
    wire::Commit commit;
    commit.consumed = {{stream, 0, consumed_[stream], consumed_[stream] + 1}};
    ++consumed_[stream];
    const Bytes frame = frame_of_one(1);
    std::vector<BytesView> frames;
    if (round) frames.emplace_back(frame);
    this->commit(work_, commit, frames);
    settle();
    core_.tick(now_ += std::chrono::milliseconds(20));
  }
  [[nodiscard]] bool ended() const { return core_.ledger().stream(1).ended; }
  /// So many batches of `stream` were delivered.
  [[nodiscard]] std::size_t delivered(std::uint32_t stream) const {
    std::size_t count = 0;
    for (const auto& sent : out_.sent) {
      if (sent.header.type != MessageType::kDeliver) continue;
      const auto view = wire::decode_delivery(wire::body_of(sent.message));
      EXPECT_TRUE(view.ok());
      count +=
          static_cast<std::size_t>(std::count_if(view->batches.begin(), view->batches.end(), [&](const auto& batch) {
            return batch.stream == stream && batch.count != 0;
          }));
    }
    return count;
  }

  Peer read_;
  Peer work_;
  std::uint64_t consumed_[2] = {};
};

TEST_F(LoopTest, EndsWhenItsInputHasEndedAndNothingGoesRound) {
  emit(true);
  EXPECT_TRUE(core_.ledger().stream(0).ended);
  EXPECT_FALSE(ended()) << "a record is on its way into it";
  work(0, true);
  EXPECT_FALSE(ended()) << "one goes round";
  work(1, true);
  EXPECT_FALSE(ended());
  EXPECT_EQ(out_.count(MessageType::kFinish), 0U);
  work(1, false);
  EXPECT_TRUE(ended());
  EXPECT_EQ(out_.count(MessageType::kFinish), 1U);
  wire::Commit finish;
  finish.finished = {0, 1};
  commit(work_, finish);
  EXPECT_TRUE(core_.ledger().finished());
}

TEST_F(LoopTest, StaysOpenWhileItsInputMayBringMore) {
  emit(false);
  work(0, false);
  EXPECT_FALSE(ended());
}

TEST_F(LoopTest, FailsAStageThatEmitsBehindItsEnd) {
  emit(true);
  work(0, false);
  ASSERT_TRUE(ended());
  wire::Commit finish;
  finish.finished = {0, 1};
  const Bytes frame = frame_of_one(1);
  commit(work_, finish, {frame});
  EXPECT_TRUE(std::any_of(out_.notices.begin(), out_.notices.end(), [](const Notice& notice) {
    return notice.kind == Notice::Kind::kStageFailed &&
           notice.reason.starts_with("it emits to stream \"again\", which has ended");
  }));
  EXPECT_TRUE(ended());
  EXPECT_EQ(core_.ledger().stream(1).next_offset(0), 0U);
}

TEST_F(LoopTest, TakesNothingNewWhileTooMuchGoesRound) {
  emit(false);
  ASSERT_EQ(delivered(0), 1U);
  work(0, true);
  ASSERT_GE(core_.ledger().stream(1).bytes_waiting(), 64U);
  EXPECT_EQ(delivered(1), 1U) << "what goes round holds back nobody inside";
  emit(false);
  core_.tick(now_ += std::chrono::milliseconds(20));
  EXPECT_EQ(delivered(0), 1U);
  work(1, false);
  core_.tick(now_ += std::chrono::milliseconds(20));
  EXPECT_EQ(delivered(0), 2U);
}

TEST_F(LoopTest, NeverHoldsEventTimeBack) {
  wire::Commit commit;
  commit.splits = {{0, false, {}}};
  commit.advanced = {{0, 5}};
  this->commit(read_, commit);
  settle();
  core_.tick(now_ += std::chrono::milliseconds(20));
  EXPECT_EQ(core_.ledger().stream(0).watermark(), 5);
  EXPECT_EQ(core_.ledger().units()[1].advanced_min(), 5);
}

TEST(Loops, ThatShareAStageAreOne) {
  Topology topology = small_topology("nested");
  for (const char* name : {"in", "middle", "inner", "outer", "out"}) topology.streams.push_back(small_stream(name));
  topology.streams[2].loop = topology.streams[3].loop = true;
  StageSpec first = working_stage(1);
  first.inputs = {{"in", 0}, {"in", 2}, {"in", 3}};
  first.outputs = {{"out", 1}, {"inner", 2}};
  StageSpec second = working_stage(1);
  second.name = "second";
  second.host = 2;
  second.inputs = {{"in", 1}};
  second.outputs = {{"out", 4}, {"again", 3}};
  StageSpec behind = working_stage(1);
  behind.name = "behind";
  behind.host = 3;
  behind.inputs = {{"in", 4}, {"in", 3}};
  topology.stages = {source_stage(), first, second, behind};
  const Ledger ledger(topology);
  EXPECT_EQ(ledger.units()[0].loop, 0U);
  EXPECT_NE(ledger.units()[1].loop, 0U);
  EXPECT_EQ(ledger.units()[2].loop, ledger.units()[1].loop);
  EXPECT_EQ(ledger.units()[3].loop, 0U) << "it only looks on";
  EXPECT_EQ(ledger.loop_of(0), 0U);
  EXPECT_EQ(ledger.loop_of(1), ledger.units()[1].loop);
  EXPECT_EQ(ledger.loop_of(4), 0U);
}

}  // namespace
}  // namespace weir::core
