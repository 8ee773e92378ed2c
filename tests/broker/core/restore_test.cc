// SPDX-License-Identifier: Apache-2.0
// State goes to a new holder a portion at a time, as it takes it in.
#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

/// A source, a keyed stream of two shards, and a stage that keeps state.
Topology with_state() {
  Topology topology = small_topology("state");
  Stream stream = small_stream("in");
  stream.partition = PartitionBy::kHash;
  stream.shards = 2;
  topology.streams.push_back(stream);
  StageSpec work = working_stage(2);
  work.keyed = true;
  topology.stages = {source_stage(), work};
  return topology;
}

class RestoreTest : public CoreFixture {
 protected:
  static constexpr std::uint64_t kCapacity = 1 << 20;  // as ready() grants
  static constexpr std::uint64_t kAhead = 32 << 10;    // of state; a segment of 1 MiB permits four times that under way

  RestoreTest() : CoreFixture(with_state()) {
    now_ += Monotonic{60'000'000};  // nobody waits for the second worker any more
    core_.tick(now_);
    work_ = ready("work");
  }

  /// A portion of so many bytes of a lane has been read.
  void comes(std::size_t bytes, std::uint32_t lane = 0, bool last = false, bool finished = false) {
    const RestoreJob read = out_.restores.back();
    const Bytes changes(bytes, std::byte{1});
    core_.on_state(read.incarnation, {1, lane, last, changes});
    RestoreJob job = read;
    job.finished = finished;
    core_.on_restored(std::move(job));
    core_.pump(now_);
  }
  void takes_in(std::uint64_t bytes) {
    taken_in_ += bytes;
    say(work_, MessageType::kCredit, wire::encode_totals({kCapacity + taken_in_, 1000}));
  }
  /// The shards of which `to` was given records, in order.
  std::vector<std::uint32_t> delivered(const Peer& to) {
    std::vector<std::uint32_t> shards;
    for (const Recorder::Sent& sent : out_.sent) {
      if (sent.to != to.incarnation || sent.header.type != MessageType::kDeliver) continue;
      const auto view = wire::decode_delivery(wire::body_of(sent.message));
      for (const wire::DeliveryHeader& header : view->batches) shards.push_back(header.shard);
    }
    return shards;
  }

  /// Who came last.
  [[nodiscard]] Incarnation next() const { return out_.connected.back(); }

  Peer work_;
  std::uint64_t taken_in_ = 0;
};

TEST_F(RestoreTest, ReadsOnlySoFarAheadThatRecordsOfOtherLanesStillFit) {
  ASSERT_EQ(out_.restores.size(), 1U);
  comes(kAhead);
  EXPECT_EQ(out_.restores.size(), 2U) << "the next portion is read while it takes in this one";
  comes(kAhead);
  EXPECT_EQ(out_.restores.size(), 2U) << "enough is under way";
  takes_in(kAhead / 2);
  EXPECT_EQ(out_.restores.size(), 2U);
  takes_in(kAhead / 2);
  EXPECT_EQ(out_.restores.size(), 3U);
  comes(0, 0, true);
  comes(0, 1, true, true);
  takes_in(kAhead);
  EXPECT_EQ(out_.restores.size(), 4U);
  // It is the holder now, and gets records.
  Peer source = ready("read");
  commit(source, {}, {frame_of_one()});
  EXPECT_EQ(out_.count(MessageType::kDeliver), 1U);
}

TEST_F(RestoreTest, GivesRecordsOfALaneWhoseStateIsThereWhileAnotherIsRestored) {
  ASSERT_EQ(out_.restores.size(), 1U);
  ASSERT_EQ(out_.restores.back().lanes.size(), 2U);
  comes(10, 1, true);
  Peer source = ready("read");
  commit(source, {}, {frame_of_one(0, 0)});
  commit(source, {}, {frame_of_one(0, 1)});
  EXPECT_EQ(delivered(work_), std::vector<std::uint32_t>{1});
  comes(10, 0, true, true);
  EXPECT_EQ(delivered(work_), (std::vector<std::uint32_t>{1, 0})) << "what was passed over comes, and nothing twice";
}

TEST_F(RestoreTest, MovesALaneOnlyWhenTheStateOfTheLastOneIsThere) {
  settle();
  sync();
  ready("work", 1);
  EXPECT_EQ(out_.count_to(next(), MessageType::kGrant), 0U) << "while the first one still gets its own";
  comes(0, 0, true);
  EXPECT_EQ(out_.count_to(next(), MessageType::kGrant), 0U);
  comes(0, 1, true, true);
  EXPECT_EQ(out_.count_to(next(), MessageType::kGrant), 1U);
}

/// One worker has both lanes, of which one is to go to another.
class AheadTest : public RestoreTest {
 protected:
  AheadTest() {
    comes(0, 0, true);
    comes(0, 1, true, true);
    change(0);
    second_ = ready("work", 1);
  }
  /// The holder of lane 1 has changed its state, and committed that.
  void change(std::uint64_t offset) {
    Peer source = ready("read");
    commit(source, {}, {frame_of_one(0, 1)});
    wire::Commit done;
    done.consumed = {{0, 1, offset, offset + 1}};
    Bytes changes;
    wire::append_change(changes, {wire::Space::kState, as_bytes("s"), as_bytes("k"), as_bytes("v")});
    done.changes = {{1, 1, changes}};
    commit(work_, done);
    settle();
  }
  [[nodiscard]] wire::Lease copy_of(std::uint32_t number) const {
    wire::Lease lease;
    lease.kind = wire::LeaseKind::kAhead;
    lease.shard = 1;
    lease.epoch = number;
    return lease;
  }
  /// All that `job` reads has come to its worker, and that says so.
  void taken(Peer& by, RestoreJob job) {
    core_.on_state(job.incarnation, {1, 1, true, {}, false, 0, job.ahead});
    job.finished = true;
    core_.on_restored(job);
    say(by, MessageType::kTaken, wire::encode_leases({copy_of(job.ahead)}));
  }
  void let_go() {
    wire::Lease lease;
    lease.shard = 1;
    say(work_, MessageType::kReleased, wire::encode_leases({lease}));
    settle();
  }
  [[nodiscard]] std::size_t asked_back() const { return out_.count_to(work_.incarnation, MessageType::kRevoke); }

  Peer second_;
};

TEST_F(AheadTest, AsksForALaneOnlyWhenTheNextHolderHasItsState) {
  const std::size_t before = out_.restores.size();
  EXPECT_EQ(out_.restores.back().ahead, 0U) << "what is not on disk goes to nobody ahead of its lease";
  EXPECT_EQ(out_.syncs_asked, 1);
  sync();
  ASSERT_EQ(out_.restores.size(), before + 1);
  const RestoreJob copy = out_.restores.back();
  EXPECT_EQ(copy.incarnation, second_.incarnation);
  EXPECT_EQ(copy.lanes, std::vector<std::uint32_t>{1});
  ASSERT_EQ(copy.parts[0].tail.size(), 1U);
  EXPECT_EQ(asked_back(), 0U);
  change(1);
  taken(second_, copy);
  EXPECT_EQ(asked_back(), 1U);
  let_go();
  ASSERT_EQ(out_.restores.size(), before + 2);
  const RestoreJob rest = out_.restores.back();
  EXPECT_EQ(rest.ahead, 0U);
  EXPECT_TRUE(rest.on_top.contains(1));
  ASSERT_EQ(rest.parts[0].tail.size(), 1U) << "only what came behind the copy";
  EXPECT_GT(rest.parts[0].tail[0].sequence, copy.parts[0].tail[0].sequence);
}

TEST_F(AheadTest, AsksForASyncOfItsOwnWhereTheOneUnderWayComesTooEarly) {
  const Sequence asked = out_.appended;
  core_.on_died(1, 1, 101, now_);
  change(1);
  second_ = ready("work", 1);
  EXPECT_EQ(out_.syncs_asked, 1) << "one is under way";
  core_.on_durable(asked);
  core_.pump(now_);
  EXPECT_EQ(out_.syncs_asked, 2);
  EXPECT_EQ(out_.restores.back().ahead, 0U);
  sync();
  EXPECT_NE(out_.restores.back().ahead, 0U);
}

TEST_F(AheadTest, SendsAllOfItWhereASnapshotHasTakenInWhatComesBehindTheCopy) {
  sync();
  const RestoreJob copy = out_.restores.back();
  change(1);
  taken(second_, copy);
  CompactJob job;
  job.stage = 1;
  job.result = {core_.ledger().next_file(), core_.ledger().next_sequence().value(), 10};
  core_.on_compacted(job);
  settle();
  let_go();
  EXPECT_TRUE(out_.restores.back().on_top.empty());
  EXPECT_NE(out_.restores.back().parts[0].file, 0U);
}

TEST_F(AheadTest, HasACopyDroppedThatIsOfNoUse) {
  sync();
  const RestoreJob copy = out_.restores.back();
  core_.on_died(1, 0, 100, now_);
  core_.pump(now_);
  EXPECT_EQ(out_.count_to(second_.incarnation, MessageType::kRevoke), 1U);
  // What of it is still on its way comes to nobody, and nothing is made of an answer that comes too late.
  const std::size_t parts = out_.count_to(second_.incarnation, MessageType::kState);
  taken(second_, copy);
  EXPECT_EQ(out_.count_to(second_.incarnation, MessageType::kState), parts);
  EXPECT_TRUE(out_.restores.back().on_top.empty());
  EXPECT_EQ(out_.restores.back().incarnation, second_.incarnation) << "the lanes are its own now";
}

TEST_F(AheadTest, BeginsAgainWithAnotherWhereTheNextHolderDies) {
  sync();
  const RestoreJob copy = out_.restores.back();
  taken(second_, copy);
  ASSERT_EQ(asked_back(), 1U);
  core_.on_died(1, 1, 101, now_);
  let_go();
  EXPECT_EQ(out_.restores.back().incarnation, work_.incarnation) << "it goes on";
  EXPECT_TRUE(out_.restores.back().on_top.empty());
  RestoreJob back = out_.restores.back();
  core_.on_state(work_.incarnation, {1, 1, true, {}});
  back.finished = true;
  core_.on_restored(back);
  Peer third = ready("work", 1);
  sync();
  EXPECT_EQ(out_.restores.back().incarnation, third.incarnation);
  EXPECT_NE(out_.restores.back().ahead, copy.ahead);
  // The answer of the one before is not taken for this one's.
  say(third, MessageType::kTaken, wire::encode_leases({copy_of(copy.ahead)}));
  EXPECT_EQ(asked_back(), 1U);
}

TEST_F(RestoreTest, StopsReadingForAWorkerThatIsGone) {
  comes(2 * kCapacity);
  ASSERT_EQ(out_.restores.size(), 1U);
  core_.on_died(1, 0, 100, now_, std::nullopt);
  core_.pump(now_);
  EXPECT_EQ(out_.restores.size(), 1U);
  work_ = ready("work");
  ASSERT_EQ(out_.restores.size(), 2U);
  EXPECT_EQ(out_.restores.back().incarnation, work_.incarnation);
  EXPECT_EQ(out_.restores.back().reached.part, 0U) << "from the beginning";
}

/// Sixteen shards of much state.
class LargeRestoreTest : public CoreFixture {
 protected:
  static Topology large() {
    Topology topology = with_state();
    topology.streams[0].shards = 16;
    return topology;
  }
  LargeRestoreTest() : CoreFixture(large()) {
    core_.ledger().changelog(1).snapshot({1, 1, 1ULL << 30});
    now_ += Monotonic{60'000'000};
    core_.tick(now_);
  }
  /// The state of every lane that was asked for is there.
  void all_come() {
    const std::vector<RestoreJob> jobs(out_.restores.begin() + static_cast<std::ptrdiff_t>(read_), out_.restores.end());
    read_ = out_.restores.size();
    for (RestoreJob job : jobs) {
      for (const std::uint32_t lane : job.lanes) {
        core_.on_state(job.incarnation, {1, lane, true, {}});
        restored_[job.incarnation].push_back(lane);
      }
      job.finished = true;
      core_.on_restored(std::move(job));
    }
    core_.pump(now_);
  }

  std::size_t read_ = 0;
  std::map<Incarnation, std::vector<std::uint32_t>> restored_;
};

TEST_F(LargeRestoreTest, LeavesLanesForWhoComesInThePlaceOfADeadWorker) {
  const Peer first = ready("work");
  ASSERT_EQ(out_.restores.size(), 1U);
  EXPECT_EQ(out_.restores.back().lanes.size(), 2U);
  all_come();
  EXPECT_EQ(restored_[first.incarnation].size(), 2U);
  const Peer second = ready("work", 1);
  for (int i = 0; i < 8; ++i) all_come();
  // Each is restored once: nothing moves any more.
  EXPECT_EQ(restored_[first.incarnation].size(), 8U);
  EXPECT_EQ(restored_[second.incarnation].size(), 8U);
  core_.tick(now_ += Monotonic{1'000'000});
  EXPECT_EQ(out_.count(MessageType::kRevoke), 0U);
}

TEST_F(LargeRestoreTest, GivesThemAllToOneThatStaysAlone) {
  const Peer first = ready("work");
  for (int i = 0; i < 16; ++i) all_come();
  EXPECT_EQ(restored_[first.incarnation].size(), 16U);
}

}  // namespace
}  // namespace weir::core
