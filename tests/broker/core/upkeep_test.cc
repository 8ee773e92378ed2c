// SPDX-License-Identifier: Apache-2.0
// Who waits while the journal is made shorter.
#include <gtest/gtest.h>

#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

/// The stage keeps state.
Topology keyed_chain(std::uint64_t memory_bytes) {
  Topology topology = small_chain("keyed");
  topology.broker.memory_bytes = memory_bytes;
  topology.streams[0].partition = PartitionBy::kHash;
  topology.stages[1].keyed = true;
  return topology;
}

class UpkeepTest : public CoreFixture {
 protected:
  explicit UpkeepTest(std::uint64_t memory_bytes = 64 << 20) : CoreFixture(keyed_chain(memory_bytes)) {
    source_ = ready("read");
    work_ = ready("work");
    core_.on_state(work_.incarnation, {1, 0, true, {}});
    RestoreJob job = out_.restores.back();
    job.finished = true;
    core_.on_restored(std::move(job));
    core_.pump(now_);
  }
  /// A record comes, and the stage changes so many bytes of its state for it, all in `segment`.
  void work_off(std::size_t bytes, std::uint64_t segment) {
    commit(source_, {}, {frame_of_one()});
    settle(segment);
    wire::Commit done;
    done.consumed = {{0, 0, records_, records_ + 1}};
    ++records_;
    const std::string key = std::to_string(records_);
    const std::string value(bytes, 'v');
    Bytes changes;
    wire::append_change(changes, {wire::Space::kState, {}, as_bytes(key), as_bytes(value)});
    done.changes.push_back({1, 0, changes});
    commit(work_, done);
    settle(segment);
  }
  /// Changes that take longer than a moment to be made a snapshot of, and a segment that holds on to the one before.
  void work_off_much() {
    constexpr int kRecords = 170;
    for (int i = 0; i < kRecords; ++i) work_off(200'000, i < kRecords - 1 ? 1 : 2);
  }
  /// Whether one more record comes to the stage, when the journal has come to `segment`.
  bool delivers(std::uint64_t segment) {
    core_.on_written(Sequence(written_ - 1), segment, 4096);
    core_.tick(now_);
    const std::size_t before = out_.count(MessageType::kDeliver);
    commit(source_, {}, {frame_of_one()});
    settle(segment);
    return out_.count(MessageType::kDeliver) > before;
  }

  Peer source_;
  Peer work_;
  std::uint64_t records_ = 0;
};

TEST_F(UpkeepTest, TellsTheJournalWhichEntriesASnapshotReads) {
  commit(source_, {}, {frame_of_one()});
  EXPECT_FALSE(out_.read_again);
  settle(1);
  work_off(10, 1);
  EXPECT_TRUE(out_.read_again);
  commit(source_, {}, {frame_of_one()});
  EXPECT_FALSE(out_.read_again);
}

TEST_F(UpkeepTest, WaitsForASnapshotThatIsMadeInAMoment) {
  for (std::uint64_t segment = 1; segment <= 2; ++segment) work_off(10, segment);
  EXPECT_EQ(out_.compactions.size(), 1U);
  EXPECT_FALSE(delivers(6));
}

TEST_F(UpkeepTest, LetsNobodyWaitForASnapshotThatTakesLong) {
  work_off_much();
  EXPECT_EQ(out_.compactions.size(), 1U);
  EXPECT_TRUE(delivers(6));
}

TEST_F(UpkeepTest, SourcesWaitWhileACheckpointFindsNoRoomAndItIsTriedAgain) {
  for (int i = 0; i < 3; ++i) work_off(200'000, 1);
  sync();
  ASSERT_EQ(out_.checkpoints.size(), 1U);
  core_.on_checkpoint({}, true);
  EXPECT_TRUE(core_.low_on_space());
  const std::size_t granted = out_.count(MessageType::kPublish);
  for (int i = 0; i < 20; ++i) work_off(10, 1);
  EXPECT_EQ(out_.count(MessageType::kPublish), granted);
  now_ += std::chrono::seconds(2);
  core_.tick(now_);
  sync();
  ASSERT_EQ(out_.checkpoints.size(), 2U);
  core_.on_checkpoint(as_bytes("where it lies"));
  EXPECT_FALSE(core_.low_on_space());
  work_off(10, 1);
  EXPECT_GT(out_.count(MessageType::kPublish), granted);
}

TEST_F(UpkeepTest, SourcesWaitWhileASnapshotFindsNoRoomForAsLongAsOneIsWanted) {
  for (std::uint64_t segment = 1; segment <= 2; ++segment) work_off(10, segment);
  ASSERT_EQ(out_.compactions.size(), 1U);
  CompactJob job = out_.compactions.back();
  job.result.file = 0;
  job.lacks_room = true;
  core_.on_compacted(job);
  EXPECT_TRUE(core_.low_on_space());
  now_ += std::chrono::seconds(2);
  core_.tick(now_);
  ASSERT_EQ(out_.compactions.size(), 2U);
  EXPECT_TRUE(core_.low_on_space()) << "whether there is room now is not known yet";
  job = out_.compactions.back();
  job.result.bytes = 100;
  core_.on_compacted(job);
  EXPECT_FALSE(core_.low_on_space());
}

TEST_F(UpkeepTest, NobodyWaitsForRoomForASnapshotThatIsNotWantedAnyMore) {
  for (std::uint64_t segment = 1; segment <= 2; ++segment) work_off(10, segment);
  ASSERT_EQ(out_.compactions.size(), 1U);
  CompactJob job = out_.compactions.back();
  job.result.file = 0;
  job.lacks_room = true;
  core_.on_compacted(job);
  ASSERT_TRUE(core_.low_on_space());
  // A forward copy has brought the changes that were held in old segments to the newest.
  for (const ChangesPlace& changes : std::deque(core_.ledger().changelog(1).tail()))
    core_.ledger().changelog(1).place(changes.sequence, 2, 4096);
  now_ += std::chrono::seconds(2);
  core_.tick(now_);
  EXPECT_EQ(out_.compactions.size(), 1U);
  EXPECT_FALSE(core_.low_on_space());
}

TEST_F(UpkeepTest, SlowsDownWhereChangesOutrunTheSnapshot) {
  work_off_much();
  int moments = 0;
  for (int i = 0; i < 64; ++i) {
    now_ += Monotonic{20'000};
    core_.tick(now_);
    moments += delivers(40) ? 1 : 0;
  }
  EXPECT_EQ(moments, 1) << "of 64";
}

TEST_F(UpkeepTest, TakesOnlySoManyChangesIntoOneSnapshotAndWholeEntries) {
  for (int i = 0; i < 400; ++i) work_off(200'000, 1);
  ASSERT_EQ(out_.compactions.size(), 1U);
  CompactJob first = out_.compactions.back();
  first.result.bytes = 1000;
  core_.on_compacted(first);
  settle();
  ASSERT_EQ(out_.compactions.size(), 2U);
  std::uint64_t bytes = 0;
  for (const ChangesPlace& changes : out_.compactions.back().tail) bytes += changes.place.size;
  EXPECT_GE(bytes, 64U << 20);
  EXPECT_LE(bytes, (64U << 20) + 200'100);
  EXPECT_EQ(out_.compactions.back().result.through, out_.compactions.back().tail.back().sequence.value() + 1);
}

/// Its index holds some thousand frames and changes.
class SmallIndexTest : public UpkeepTest {
 protected:
  SmallIndexTest() : UpkeepTest(1 << 20) {}
};

TEST_F(SmallIndexTest, MakesASnapshotOfALargeStateWhoseManySmallChangesCrowdTheIndex) {
  work_off(10, 1);
  work_off(10, 2);
  ASSERT_EQ(out_.compactions.size(), 1U);
  CompactJob first = out_.compactions.back();
  first.result.bytes = 2 << 20;  // more than a segment: a tail that is merely old is let be
  core_.on_compacted(first);
  settle(2);
  const std::uint64_t crowded = topology_.broker.memory_bytes / 8 / sizeof(FrameSlot);
  for (std::uint64_t i = 0; i + 3 < crowded; ++i) {
    work_off(10, 3);
    core_.tick(now_);  // frames that were consumed are forgotten
  }
  EXPECT_EQ(out_.compactions.size(), 1U);
  for (int i = 0; i < 4; ++i) work_off(10, 3);
  EXPECT_EQ(out_.compactions.size(), 2U) << "else the index comes to be full, and sources wait for good";
}

TEST_F(SmallIndexTest, AStageConsumesThoughItsInputHasFilledTheIndex) {
  const std::uint64_t full = topology_.broker.memory_bytes / 4 / sizeof(FrameSlot);
  for (std::uint64_t i = 0; i < full + 600; ++i) commit(source_, {}, {frame_of_one()});
  settle();
  const std::size_t before = out_.count(MessageType::kDeliver);
  ASSERT_GT(before, 500U);
  wire::Commit done;
  done.consumed = {{0, 0, 0, 500}};
  commit(work_, done);
  settle();
  say(work_, MessageType::kCredit, wire::encode_totals({(1 << 20) + 500, 1500}));
  EXPECT_GE(core_.ledger().slots(), full);
  EXPECT_GT(out_.count(MessageType::kDeliver), before);
}

}  // namespace
}  // namespace weir::core
