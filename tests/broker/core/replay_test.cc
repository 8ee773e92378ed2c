// SPDX-License-Identifier: Apache-2.0
// A group that goes back: never forward, decided by the journal, and over what retention has kept.
#include <gtest/gtest.h>

#include "broker/core/replay_search.h"
#include "sdk/wire/map.h"
#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

constexpr std::uint32_t kWork = 1;
constexpr std::int64_t kSecond = 1'000'000;

Topology retaining(std::int64_t time_us, std::uint64_t bytes, std::uint64_t memory) {
  Topology topology = small_topology("replays");
  if (memory != 0) topology.broker.memory_bytes = memory;
  Stream stream = small_stream("lines");
  stream.partition = PartitionBy::kHash;
  stream.retention_time = std::chrono::microseconds(time_us);
  stream.retention_bytes = bytes;
  StageSpec work = working_stage(1);
  work.keyed = true;
  topology.streams = {stream};
  topology.stages = {source_stage(), work};
  return topology;
}

class ReplayTest : public CoreFixture {
 protected:
  explicit ReplayTest(std::int64_t time_us = 10 * kSecond, std::uint64_t bytes = 0, std::uint64_t memory = 0)
      : CoreFixture(retaining(time_us, bytes, memory)), source_(ready("read")) {
    work_ = holder();
  }
  Peer holder() {
    Peer peer = ready("work");
    core_.on_state(peer.incarnation, {kWork, 0, true, {}});
    core_.pump(now_);
    return peer;
  }
  /// One record comes, read at `origin_us`, and is worked off.
  void work_off(std::int64_t origin_us) {
    Bytes frame = frame_of_one();
    wire::BatchHeader batch = wire::FrameView::parse(frame)->batch(0);
    batch.origin_us = origin_us;
    std::memcpy(frame.data() + sizeof(wire::FrameHeader), &batch, sizeof(batch));
    commit(source_, {}, {frame});
    settle();
    const std::uint64_t at = offset();
    wire::Commit done;
    done.consumed = {{0, 0, at, at + 1}};
    Bytes changes;
    wire::append_change(changes, {wire::Space::kState, as_bytes("s"), as_bytes("k"), as_bytes("v")});
    done.changes = {{kWork, 0, changes}};
    commit(work_, done);
    settle();
  }
  [[nodiscard]] std::uint64_t offset() const { return core_.ledger().units()[kWork].lanes[0].cursors[0].offset; }
  void tick_at(std::int64_t wall_us) {
    now_ = Monotonic(1'000'000 + wall_us - kStartedUs);
    core_.tick(now_);
  }
  wire::MapReader replay(std::uint64_t offset, std::uint64_t frame, bool reset = false) {
    out_.replies.clear();
    EXPECT_TRUE(core_.replay("person", {kWork, 0, reset, {{offset, frame}}}, now_));
    settle();
    core_.pump(now_);
    EXPECT_EQ(out_.replies.size(), 1U);
    return *wire::MapReader::parse(out_.replies.back());
  }
  Ledger read_back() {
    Ledger ledger(topology_);
    for (std::uint64_t i = 0; i < out_.payloads.size(); ++i) {
      const Status applied = ledger.apply(Sequence(i), Buffer::of(Bytes(out_.payloads[i])), {1, 4096, 0, 0}, false);
      EXPECT_TRUE(applied.ok()) << applied.error().message;
    }
    return ledger;
  }

  Peer source_;
  Peer work_;
};

TEST_F(ReplayTest, KeepsWhatIsConsumedUntilItIsOlderThanWanted) {
  work_off(kStartedUs + kSecond);
  work_off(kStartedUs + 3 * kSecond);
  tick_at(kStartedUs + 11 * kSecond - 1);
  EXPECT_EQ(core_.ledger().stream(0).first_frame(), 0U);
  EXPECT_EQ(core_.ledger().stream(0).bytes_waiting(), 0U) << "nobody waits for it, so it holds back nobody";
  EXPECT_GT(core_.ledger().stream(0).bytes_kept(), 0U);
  tick_at(kStartedUs + 11 * kSecond);
  EXPECT_EQ(core_.ledger().stream(0).first_frame(), 1U);
  tick_at(kStartedUs + 13 * kSecond);
  EXPECT_EQ(core_.ledger().stream(0).first_frame(), 2U);
}

TEST_F(ReplayTest, GoesBackFencesTheHolderAndDeliversAgain) {
  work_off(kStartedUs);
  work_off(kStartedUs);
  const wire::MapReader answer = replay(1, 1);
  EXPECT_EQ(answer.op(), "replayed");
  EXPECT_EQ(answer.integer("records", -1), 1);
  EXPECT_EQ(offset(), 1U);
  EXPECT_EQ(out_.fenced_why(), "its stage is replayed");
  const std::size_t before = out_.count(MessageType::kDeliver);
  work_ = holder();
  core_.on_frame(0, 1, Bytes());
  EXPECT_EQ(core_.ledger().units()[kWork].records_backlog, 1U);
  EXPECT_GE(out_.count(MessageType::kDeliver), before);
  EXPECT_EQ(read_back().units()[kWork].lanes[0].cursors[0].offset, 1U);
}

TEST_F(ReplayTest, NeverGoesForwardAndDoesNothingWhereThereIsNothingToDo) {
  work_off(kStartedUs);
  commit(source_, {}, {frame_of_one()});
  settle();
  const std::size_t entries = out_.payloads.size();
  EXPECT_EQ(replay(2, 2).integer("records", -1), 0);
  EXPECT_EQ(offset(), 1U);
  EXPECT_EQ(out_.payloads.size(), entries);
  EXPECT_EQ(out_.fenced_why(), "");
}

TEST_F(ReplayTest, ForgetsTheStateFromBeforeAResetByJournalAndByCheckpoint) {
  work_off(kStartedUs);
  const Sequence before = core_.ledger().next_sequence();
  replay(0, 0, true);
  std::vector<Ledger::Fixup> fixups;
  Ledger restored(topology_);
  ASSERT_TRUE(restored.decode_checkpoint(core_.ledger().encode_checkpoint(fixups)).ok());
  EXPECT_EQ(core_.ledger().changelog(kWork).reset_before(), before.value());
  EXPECT_EQ(read_back().changelog(kWork).reset_before(), before.value());
  EXPECT_EQ(restored.changelog(kWork).reset_before(), before.value());
  EXPECT_EQ(restored.stream(0).slot(0).origin_us, kStartedUs) << "retention by time goes on";
  ready("work");
  const RestoreJob& job = out_.restores.back();
  ASSERT_EQ(job.parts.size(), 1U);
  EXPECT_EQ(job.parts[0].reset_before, before.value());
}

class LittleMemoryTest : public ReplayTest {
 protected:
  LittleMemoryTest() : ReplayTest(10 * kSecond, 0, std::uint64_t{8} * 6 * sizeof(FrameSlot)) {}
};

TEST_F(LittleMemoryTest, CountsWhatRetentionGivesUpForWantOfMemory) {
  for (int i = 0; i < 4; ++i) work_off(kStartedUs);
  tick_at(kStartedUs + kSecond);
  const StreamState& stream = core_.ledger().stream(0);
  const std::uint64_t gone = stream.first_frame();
  EXPECT_GT(gone, 0U) << "the changes of state have slots too";
  EXPECT_EQ(stream.retained_less, gone) << "of one record each";
  tick_at(kStartedUs + 11 * kSecond);
  EXPECT_EQ(stream.first_frame(), 4U);
  EXPECT_EQ(stream.retained_less, gone) << "the others went when they were due";
}

TEST_F(ReplayTest, IsRefusedWhenTheInputHasEnded) {
  work_off(kStartedUs);
  wire::Commit end;
  end.enumeration_ended = true;
  commit(source_, end);
  settle();
  const wire::MapReader answer = replay(0, 0);
  EXPECT_EQ(answer.op(), "refused");
  EXPECT_NE(answer.text("error").find("has come to the end of its input"), std::string::npos) << answer.text("error");
}

TEST_F(ReplayTest, DoesNothingWhereWhatWasFoundIsGoneSince) {
  work_off(kStartedUs);
  tick_at(kStartedUs + 60 * kSecond);
  const std::size_t replies = out_.replies.size();
  EXPECT_FALSE(core_.replay("person", {kWork, 0, false, {{0, 0}}}, now_));
  EXPECT_EQ(out_.replies.size(), replies);
  EXPECT_EQ(offset(), 1U);
}

class SmallRetentionTest : public ReplayTest {
 protected:
  SmallRetentionTest() : ReplayTest(0, 200) {}
};

TEST_F(SmallRetentionTest, KeepsNoMoreBytesThanWanted) {
  for (int i = 0; i < 10; ++i) work_off(kStartedUs);
  tick_at(kStartedUs + kSecond);
  const StreamState& stream = core_.ledger().stream(0);
  EXPECT_LE(stream.bytes_kept(), 200U);
  EXPECT_GT(stream.bytes_kept() + 100, 200U) << "and not less by more than a frame";
}

TEST(ReplaySearch, FindsEachShardByStartOffsetAndTime) {
  const auto batch = [](std::uint32_t shard, std::uint64_t offset, std::uint32_t count, std::int64_t origin_us) {
    return wire::BatchHeader{shard, count, 0, 0, offset, origin_us};
  };
  Stream spec = small_stream("s");
  spec.shards = 3;
  const StreamState stream(spec);
  const auto places = [&](ReplayWanted wanted) {
    ReplaySearch search(wanted, 3);
    search.see(7, {batch(0, 10, 5, 100), batch(1, 20, 5, 100)});
    search.see(8, {batch(0, 15, 5, 200)});
    search.see(9, {batch(1, 25, 5, 300)});
    return search.places(stream);
  };
  const auto start = places({ReplayWanted::Kind::kStart, 0, 0});
  ASSERT_TRUE(start.ok());
  EXPECT_EQ((*start)[0].offset, 10U);
  EXPECT_EQ((*start)[1].frame, 7U);
  EXPECT_EQ((*start)[2].offset, 0U) << "a shard without records is at its end";
  const auto time = places({ReplayWanted::Kind::kTime, 0, 200});
  EXPECT_EQ((*time)[0].offset, 15U);
  EXPECT_EQ((*time)[1].offset, 25U);
  const auto offset = places({ReplayWanted::Kind::kOffset, 22, 0});
  EXPECT_EQ((*offset)[1].offset, 22U);
  EXPECT_EQ((*offset)[1].frame, 7U);
  const auto gone = places({ReplayWanted::Kind::kOffset, 12, 0});
  ASSERT_FALSE(gone.ok());
  EXPECT_NE(gone.error().message.find("shard 1 keeps no record before offset 20"), std::string::npos);
}

Topology without_keys() {
  Topology topology = retaining(10 * kSecond, 0, 0);
  topology.streams[0].partition = PartitionBy::kNone;
  topology.stages[kWork].keyed = false;
  return topology;
}

class ReplayWithoutKeysTest : public CoreFixture {
 protected:
  ReplayWithoutKeysTest() : CoreFixture(without_keys()) {}
};

TEST_F(ReplayWithoutKeysTest, CountsWhatWasCommittedOutOfTurnToo) {
  Peer source = ready("read");
  Peer work = ready("work");
  for (int i = 0; i < 3; ++i) commit(source, {}, {frame_of_one()});
  settle();
  for (const std::uint64_t at : {0U, 2U}) {
    wire::Commit done;
    done.consumed = {{0, 0, at, at + 1}};
    commit(work, done);
  }
  settle();
  ASSERT_EQ(out_.fenced_why(), "");
  ASSERT_EQ(core_.ledger().units()[kWork].lanes[0].cursors[0].offset, 1U);
  ASSERT_TRUE(core_.replay("person", {kWork, 0, false, {{0, 0}}}, now_));
  settle();
  EXPECT_EQ(wire::MapReader::parse(out_.replies.back())->integer("records", 0), 2);
}

}  // namespace
}  // namespace weir::core
