// SPDX-License-Identifier: Apache-2.0
// The core under hand-made events: what it refuses, and what it answers.
#include "broker/core/core.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sdk/wire/batch.h"
#include "sdk/wire/map.h"
#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

using namespace std::chrono_literals;

/// A source whose records one unkeyed stage of one worker consumes.
Topology relay() {
  Topology topology = small_topology("relay");
  topology.streams = {small_stream("lines")};
  topology.streams[0].durability = Durability::kNone;
  topology.stages = {source_stage(), working_stage(1)};
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

TEST_F(CoreTest, RefusesAWorkerOfAnotherVersionAndNamesBoth) {
  wire::WorkerHello said;
  said.stage = "work";
  said.inbox = "inproc://nowhere";
  said.wire_version = wire::kWireVersion + 1;
  core_.on_client("client", wire::encode(said), now_);
  EXPECT_TRUE(out_.connected.empty());
  ASSERT_EQ(out_.replies.size(), 1U);
  const auto answer = wire::MapReader::parse(out_.replies[0]);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->op(), "refused");
  EXPECT_EQ(answer->text("error"), "this broker speaks version " + std::to_string(wire::kWireVersion) +
                                       " of the protocol, the worker " + std::to_string(wire::kWireVersion + 1) +
                                       ": install the same Weir everywhere");
}

TEST_F(CoreTest, TakesAnEntryOfATypeToComeForAnotherVersionAndNotForDamage) {
  Ledger ledger(topology_);
  Bytes payload = encode_header({EntryType::kTopology, {}, 0, 0});
  payload[0] = std::byte{200};
  const Status applied = ledger.apply(Sequence(0), Buffer::of(std::move(payload)), {1, 4096, 0, 0}, false);
  ASSERT_FALSE(applied.ok());
  EXPECT_EQ(applied.error().code, Code::kRefused);
  EXPECT_EQ(applied.error().message,
            "journal entry 0 is of an unknown type: use the Weir that wrote it, or a newer one");
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

TEST_F(CoreTest, FillsTheHolesThatAFormerLifeLeftBeforeWhatItCommittedAhead) {
  Peer source = ready("read");
  Peer worker = ready("work");
  constexpr std::uint64_t kRecords = 2060;
  for (std::uint64_t i = 0; i < kRecords; ++i) {
    commit(source, {}, {frame(1, 1)});
    say(worker, MessageType::kCredit, wire::encode_totals({(i + 2) << 20, 1000 * (i + 2)}));
  }
  // Every second record is committed, as far as the bound goes; the worker that has the others never will.
  for (std::uint64_t offset = 1; offset < 2048; offset += 2) {
    wire::Commit consumed;
    consumed.consumed.push_back({0, 0, offset, offset + 1});
    commit(worker, consumed);
  }
  ASSERT_EQ(out_.fenced_why(), "");
  settle();
  // The next life of the broker, from the same journal.
  Recorder out;
  Core next(topology_, {}, out);
  for (std::uint64_t i = 0; i < out_.payloads.size(); ++i) {
    ASSERT_TRUE(next.ledger().apply(Sequence(i), Buffer::of(out_.payloads[i]), {1, 4096, 0, 0}, true).ok());
  }
  next.start(Reign(2), {1, 1}, now_);
  wire::WorkerHello hello;
  hello.stage = "work";
  hello.pid = 200;
  hello.inbox = "inproc://nowhere";
  next.on_client("client", wire::encode(hello), now_);
  const Incarnation incarnation = out.connected.back();
  for (std::uint64_t number = 1; number <= 2; ++number) {
    const bool first = number == 1;
    const Bytes body = first ? Bytes() : wire::encode_totals({64 << 20, 100'000});
    const MessageType type = first ? MessageType::kReady : MessageType::kCredit;
    next.on_message(Buffer::of(wire::message({type, wire::kWireVersion, 0, incarnation.value(), number}, body)), now_);
  }
  next.pump(now_);
  std::vector<std::uint64_t> offsets;
  for (const Recorder::Sent& sent : out.sent) {
    if (sent.header.type != MessageType::kDeliver) continue;
    const auto delivery = wire::decode_delivery(wire::body_of(sent.message));
    for (const auto& batch : delivery->batches) offsets.push_back(batch.offset);
  }
  ASSERT_GE(offsets.size(), 1024U);
  for (std::uint64_t i = 0; i < 1024; ++i) EXPECT_EQ(offsets[i], 2 * i);
}

}  // namespace
}  // namespace weir::core
