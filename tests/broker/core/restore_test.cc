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
  ready("work", 1);
  EXPECT_EQ(out_.count(MessageType::kRevoke), 0U) << "while the first one still gets its own";
  comes(0, 0, true);
  EXPECT_EQ(out_.count(MessageType::kRevoke), 0U);
  comes(0, 1, true, true);
  EXPECT_EQ(out_.count(MessageType::kRevoke), 1U);
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
