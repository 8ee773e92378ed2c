// SPDX-License-Identifier: Apache-2.0
// The core under hand-made events: what it refuses, and what it answers.
#include "broker/core/core.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sdk/wire/batch.h"
#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

using namespace std::chrono_literals;

/// A source whose records one unkeyed stage of one worker consumes.
Topology relay() {
  Topology topology = small_topology("relay");
  topology.streams = {small_stream("lines")};
  topology.streams[0].durability = Durability::kNone;
  StageSpec work;
  work.name = "work";
  work.inputs = {{"in", 0}};
  work.host = 1;
  topology.stages = {source_stage(), work};
  return topology;
}

class CoreTest : public CoreFixture {
 protected:
  CoreTest() : CoreFixture(relay()) {}

  /// A frame of one batch with `records` records, whose directory claims `claimed`.
  static Bytes frame(std::uint32_t records, std::uint32_t claimed) {
    Bytes batch;
    for (std::uint32_t i = 0; i < records; ++i)
      wire::append_record(batch, {0, wire::nil_bytes(), wire::nil_bytes(), {}});
    const wire::FrameHeader header{0, 1, claimed, 0};
    const wire::BatchHeader entry{0, claimed, static_cast<std::uint32_t>(batch.size()), 0, 0, 0};
    Bytes bytes;
    ByteWriter writer(bytes);
    writer.raw(std::as_bytes(std::span(&header, 1)));
    writer.raw(std::as_bytes(std::span(&entry, 1)));
    writer.raw(batch);
    return bytes;
  }
};

TEST_F(CoreTest, DeliversWhatASourceCommitsBeforeItIsOnDisk) {
  Peer source = ready("read");
  ready("work");
  commit(source, {}, {frame(3, 3)});
  ASSERT_EQ(out_.count(MessageType::kDeliver), 1U);
  EXPECT_EQ(out_.fenced_why(), "");
}

TEST_F(CoreTest, FencesAWorkerThatConsumesARecordTwiceInOneTransaction) {
  Peer source = ready("read");
  Peer worker = ready("work");
  commit(source, {}, {frame(4, 4)});
  wire::Commit twice;
  twice.consumed = {{0, 0, 0, 3}, {0, 0, 0, 4}};
  commit(worker, twice);
  EXPECT_EQ(out_.fenced_why(), "it consumes a record twice");
}

TEST_F(CoreTest, AcceptsEachRangeOnceAndFencesItsRepetition) {
  Peer source = ready("read");
  Peer worker = ready("work");
  commit(source, {}, {frame(4, 4)});
  wire::Commit all;
  all.consumed = {{0, 0, 0, 4}};
  commit(worker, all);
  EXPECT_EQ(out_.fenced_why(), "");
  EXPECT_EQ(core_.waiting(), 0U);
  commit(worker, all);
  EXPECT_EQ(out_.fenced_why(), "it consumes a range that is not leased to it");
}

TEST_F(CoreTest, SurvivesABatchWithFewerRecordsThanItClaims) {
  Peer source = ready("read");
  ready("work");
  commit(source, {}, {frame(2, 5)});
  core_.tick(now_);
  EXPECT_GE(out_.count(MessageType::kDeliver), 1U);
}

TEST_F(CoreTest, FencesAWorkerOneOfWhoseMessagesWasLost) {
  Peer source = ready("read");
  ++source.sent;
  commit(source, {}, {frame(1, 1)});
  EXPECT_EQ(out_.fenced_why(), "a message from it was lost");
  EXPECT_EQ(core_.ledger().stream(0).records_total(), 0U);
}

TEST_F(CoreTest, DropsADuplicateOfAMessage) {
  Peer source = ready("read");
  commit(source, {}, {frame(1, 1)});
  --source.sent;
  --source.transactions;
  commit(source, {}, {frame(1, 1)});
  EXPECT_EQ(out_.fenced_why(), "");
  EXPECT_EQ(core_.ledger().stream(0).records_total(), 1U);
}

TEST_F(CoreTest, HandsTheRangesOfADeadWorkerToTheNext) {
  Peer source = ready("read");
  ready("work");
  commit(source, {}, {frame(3, 3)});
  ASSERT_EQ(out_.count(MessageType::kDeliver), 1U);
  settle();
  core_.on_died(1, 0, 100, now_);
  ready("work");
  // Its bytes were let go when they were delivered.
  ASSERT_EQ(out_.asked_for, std::vector<std::uint64_t>{0});
  core_.on_frame(0, 0, frame(3, 3));
  core_.pump(now_);
  EXPECT_EQ(out_.count(MessageType::kDeliver), 2U);
}

TEST_F(CoreTest, WritesACheckpointOnlyOfWhatIsOnDisk) {
  Peer source = ready("read");
  const std::uint32_t records = 10'000;
  for (int i = 0; i < 6; ++i) commit(source, {}, {frame(records, records)});
  core_.tick(now_);  // enough for a checkpoint
  settle();          // since nothing here asks for a sync
  core_.pump(now_);
  EXPECT_TRUE(out_.checkpoints.empty());
  EXPECT_EQ(out_.syncs_asked, 1) << "nothing else here asks for one";
  sync();
  ASSERT_EQ(out_.checkpoints.size(), 1U);
  EXPECT_LE(out_.checkpoints[0].through, out_.appended);
}

TEST_F(CoreTest, StopsAWorkerThatBecomesReadyTooLate) {
  Peer late = hello("work");
  core_.stop();
  say(late, MessageType::kReady, {});
  EXPECT_EQ(out_.count(MessageType::kStop), 1U);
}

}  // namespace
}  // namespace weir::core
