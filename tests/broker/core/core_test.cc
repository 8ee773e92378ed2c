// SPDX-License-Identifier: Apache-2.0
// The core under hand-made events: what it refuses, and what it answers.
#include "broker/core/core.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sdk/wire/batch.h"
#include "tests/broker/core/recorder.h"

namespace weir::core {
namespace {

using namespace std::chrono_literals;

/// A source whose records one unkeyed stage of one worker consumes.
Topology relay() {
  Topology topology;
  topology.name = "relay";
  topology.broker.segment_bytes = 1 << 20;
  topology.broker.memory_bytes = 64 << 20;
  topology.broker.transaction_bytes_max = 1 << 18;
  Stream lines;
  lines.name = "lines";
  lines.backlog_bytes_max = 1 << 20;
  lines.durability = Durability::kNone;
  topology.streams = {lines};
  StageSpec read;
  read.name = "read";
  read.kind = PluginKind::kSource;
  read.outputs = {{"out", 0}};
  StageSpec work;
  work.name = "work";
  work.inputs = {{"in", 0}};
  work.host = 1;
  topology.stages = {read, work};
  return topology;
}

class CoreTest : public testing::Test {
 protected:
  struct Peer {
    Incarnation incarnation;
    std::uint64_t sent = 0;
    std::uint64_t transactions = 0;
  };

  CoreTest() : topology_(relay()), core_(topology_, {}, out_) { core_.start(Reign(1), {}, now_); }

  Peer hello(const std::string& stage) {
    wire::WorkerHello said;
    said.stage = stage;
    said.worker = 0;
    said.pid = 100;
    said.inbox = "inproc://nowhere";
    core_.on_client("client", wire::encode(said), now_);
    return {out_.connected.back()};
  }
  void say(Peer& peer, MessageType type, const Bytes& body) {
    core_.on_message(
        Buffer::of(wire::message({type, wire::kWireVersion, 0, peer.incarnation.value(), ++peer.sent}, body)), now_);
    core_.pump(now_);
  }
  Peer ready(const std::string& stage) {
    Peer peer = hello(stage);
    say(peer, MessageType::kReady, {});
    say(peer, MessageType::kCredit, wire::encode_totals({1 << 20, 1000}));
    return peer;
  }
  void commit(Peer& peer, wire::Commit commit, const std::vector<BytesView>& frames = {}) {
    commit.transaction = ++peer.transactions;
    Bytes body;
    wire::encode(commit, frames, body);
    say(peer, MessageType::kCommit, body);
  }
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
  void write_all() {
    for (std::uint64_t sequence = written_; sequence < out_.appended.value(); ++sequence) {
      core_.on_written(Sequence(sequence), 1, static_cast<std::uint32_t>(4096 * (sequence + 1)));
    }
    written_ = out_.appended.value();
    core_.on_settled(out_.appended, now_);
    core_.pump(now_);
  }

  Monotonic now_{1'000'000};
  Topology topology_;
  Recorder out_;
  Core core_;
  std::uint64_t written_ = 0;
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
  write_all();
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
  write_all();       // settled, since nothing here asks for a sync
  core_.pump(now_);
  EXPECT_TRUE(out_.checkpoints.empty());
  EXPECT_EQ(out_.syncs_asked, 1) << "nothing else here asks for one";
  core_.on_durable(out_.appended);
  core_.pump(now_);
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
