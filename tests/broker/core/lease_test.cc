// SPDX-License-Identifier: Apache-2.0
// Shards and their holders, under hand-made events: who may consume what, and how a shard moves.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "sdk/wire/batch.h"
#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

constexpr std::uint32_t kShards = 4;

/// A source, a stream of four shards, and a stage of two workers that reads it, with an output of its own.
Topology keyed() {
  Topology topology = small_topology("keyed");
  for (const char* name : {"words", "counts"}) {
    Stream stream = small_stream(name);
    stream.partition = PartitionBy::kHash;
    stream.shards = kShards;
    topology.streams.push_back(std::move(stream));
  }
  StageSpec work = working_stage(2);
  work.outputs = {{"out", 1}};
  topology.stages = {source_stage(), work};
  return topology;
}

class LeaseTest : public CoreFixture {
 protected:
  LeaseTest() : CoreFixture(keyed()) {}

  /// One record for every shard of `stream`, `bytes` long.
  static Bytes frame(std::uint32_t stream = 0, std::size_t bytes = 1) {
    Bytes batch;
    const Bytes value(bytes, std::byte{0xc0});
    wire::append_record(batch, {0, wire::nil_bytes(), value, {}});
    const wire::FrameHeader header{stream, kShards, kShards, 0};
    Bytes whole;
    ByteWriter writer(whole);
    writer.raw(std::as_bytes(std::span(&header, 1)));
    for (std::uint32_t shard = 0; shard < kShards; ++shard) {
      const wire::BatchHeader entry{shard, 1, static_cast<std::uint32_t>(batch.size()), 0, 0, 0};
      writer.raw(std::as_bytes(std::span(&entry, 1)));
    }
    for (std::uint32_t shard = 0; shard < kShards; ++shard) writer.raw(batch);
    return whole;
  }
  /// The leases that messages of this type named to a worker.
  [[nodiscard]] std::vector<wire::Lease> leases(const Peer& peer, MessageType type) const {
    std::vector<wire::Lease> found;
    for (const Recorder::Sent& sent : out_.sent) {
      if (sent.to != peer.incarnation || sent.header.type != type) continue;
      const auto list = wire::decode_leases(wire::body_of(sent.message));
      found.insert(found.end(), list->begin(), list->end());
    }
    return found;
  }
  [[nodiscard]] std::set<std::uint32_t> granted(const Peer& peer) const {
    std::set<std::uint32_t> shards;
    for (const wire::Lease& lease : leases(peer, MessageType::kGrant)) shards.insert(lease.shard);
    return shards;
  }
  /// Shards whose records were sent to a worker.
  [[nodiscard]] std::multiset<std::uint32_t> delivered(const Peer& peer) const {
    std::multiset<std::uint32_t> shards;
    for (const Recorder::Sent& sent : out_.sent) {
      if (sent.to != peer.incarnation || sent.header.type != MessageType::kDeliver) continue;
      const auto delivery = wire::decode_delivery(wire::body_of(sent.message));
      for (const wire::DeliveryHeader& batch : delivery->batches) shards.insert(batch.shard);
    }
    return shards;
  }
  [[nodiscard]] std::uint64_t publish_granted(const Peer& peer) const {
    std::uint64_t bytes = 0;
    for (const Recorder::Sent& sent : out_.sent) {
      if (sent.to == peer.incarnation && sent.header.type == MessageType::kPublish)
        bytes = wire::decode_totals(wire::body_of(sent.message))->first;
    }
    return bytes;
  }
};

TEST_F(LeaseTest, GivesEachShardToOneWorkerAndItsRecordsToNobodyElse) {
  Peer source = ready("read", 0);
  Peer first = ready("work", 0);
  Peer second = ready("work", 1);
  commit(source, {}, {frame()});
  std::set<std::uint32_t> all = granted(first);
  for (const std::uint32_t shard : granted(second))
    EXPECT_TRUE(all.insert(shard).second) << shard << " has two holders";
  EXPECT_EQ(all.size(), kShards);
  for (const Peer& peer : {first, second}) {
    const auto got = delivered(peer);
    EXPECT_EQ(std::set<std::uint32_t>(got.begin(), got.end()), granted(peer));
    EXPECT_EQ(got.size(), granted(peer).size());
  }
}

TEST_F(LeaseTest, GivesWhatALeavingWorkerHeldToOthersOnceItIsDrainedAndSettled) {
  Peer source = ready("read", 0);
  Peer first = ready("work", 0);
  Peer second = ready("work", 1);
  const std::set<std::uint32_t> given = granted(first);
  const std::set<std::uint32_t> left = granted(second);
  ASSERT_EQ(left.size(), 2U);
  commit(source, {}, {frame()});
  settle();
  say(second, MessageType::kLeaving, {});
  EXPECT_EQ(out_.count_to(second.incarnation, MessageType::kDrain), 1U);
  // What it has begun it may still commit; it gets nothing more.
  const std::size_t got = delivered(second).size();
  commit(source, {}, {frame()});
  settle();
  EXPECT_EQ(delivered(second).size(), got);
  wire::Commit begun;
  begun.consumed = {{0, *left.begin(), 0, 1}};
  commit(second, begun);
  say(second, MessageType::kDrained, {});
  EXPECT_EQ(out_.count_to(second.incarnation, MessageType::kStop), 0U) << "its last commit is not settled";
  EXPECT_EQ(granted(first), given);
  settle();
  EXPECT_EQ(out_.count_to(second.incarnation, MessageType::kStop), 1U);
  EXPECT_EQ(out_.fenced_why(), "");
  now_ += Monotonic(1'000'000);  // the time in which everyone is expected is over
  core_.tick(now_);
  EXPECT_EQ(granted(first).size(), kShards);
  for (const std::uint64_t frame_read : out_.asked_for) core_.on_frame(0, frame_read, frame());
  core_.pump(now_);
  // The record that was committed comes to nobody again, the other one to the one who is left.
  const auto at = delivered(first);
  EXPECT_EQ(at.count(*left.begin()), 1U);
  EXPECT_EQ(at.count(*left.rbegin()), 2U);
}

TEST_F(LeaseTest, DrainsALeavingWorkerOnceThoughTheTopologyStopsToo) {
  Peer second = ready("work", 1);
  say(second, MessageType::kLeaving, {});
  say(second, MessageType::kLeaving, {});
  EXPECT_EQ(out_.count_to(second.incarnation, MessageType::kDrain), 1U);
  core_.stop();
  say(second, MessageType::kDrained, {});
  EXPECT_EQ(out_.count_to(second.incarnation, MessageType::kStop), 1U);
  EXPECT_EQ(out_.disconnected.size(), 0U);
}

TEST_F(LeaseTest, TellsTheLauncherOfAStageThatHasFinishedBeforeItsWorkersAndMissesNoneOfThem) {
  Peer source = ready("read", 0);
  Peer worker = ready("work", 0);
  wire::Commit last;
  last.enumeration_ended = true;
  commit(source, last);
  settle();
  ASSERT_EQ(out_.count_to(source.incarnation, MessageType::kStop), 1U);
  const auto finished = std::find_if(out_.notices.begin(), out_.notices.end(),
                                     [](const Notice& notice) { return notice.kind == Notice::Kind::kStageFinished; });
  ASSERT_NE(finished, out_.notices.end());
  const auto stop = std::find_if(out_.sent.begin(), out_.sent.end(), [&](const Recorder::Sent& sent) {
    return sent.to == source.incarnation && sent.header.type == MessageType::kStop;
  });
  EXPECT_LE(out_.sent_before_notice[static_cast<std::size_t>(finished - out_.notices.begin())],
            static_cast<std::size_t>(stop - out_.sent.begin()));
  // Both are silent from here on; only of one a word was due.
  for (int i = 0; i < 30; ++i) core_.tick(now_ += CoreOptions().silence / 10);
  std::vector<std::uint32_t> fenced;
  for (const Notice& notice : out_.notices) {
    if (notice.kind == Notice::Kind::kFenced) fenced.push_back(notice.stage);
  }
  EXPECT_EQ(fenced, std::vector<std::uint32_t>{1});
  EXPECT_EQ(out_.disconnected, (std::vector<Incarnation>{source.incarnation, worker.incarnation}));
}

TEST_F(LeaseTest, FencesAWorkerThatConsumesAShardOfAnother) {
  Peer source = ready("read", 0);
  Peer first = ready("work", 0);
  Peer second = ready("work", 1);
  commit(source, {}, {frame()});
  wire::Commit theft;
  theft.consumed = {{0, *granted(second).begin(), 0, 1}};
  commit(first, theft);
  EXPECT_EQ(out_.fenced_why(), "it consumes a shard that is not leased to it");
}

TEST_F(LeaseTest, AcceptsNothingMoreFromAFencedIncarnation) {
  Peer source = ready("read", 0);
  Peer first = ready("work", 0);
  ready("work", 1);
  commit(source, {}, {frame()});
  const std::uint32_t shard = *granted(first).begin();
  wire::Commit skipped;
  skipped.consumed = {{0, shard, 1, 2}};
  commit(first, skipped);
  ASSERT_NE(out_.fenced_why(), "");
  const Sequence before = out_.appended;
  wire::Commit right;
  right.consumed = {{0, shard, 0, 1}};
  --first.transactions;
  commit(first, right);
  EXPECT_EQ(out_.appended, before);
}

TEST_F(LeaseTest, WaitsForAllWorkersBeforeFewerGetMore) {
  Peer first = ready("work", 0);
  EXPECT_EQ(granted(first).size(), kShards / 2);
  now_ += Monotonic(1'000'000);
  core_.tick(now_);
  EXPECT_EQ(granted(first).size(), kShards);
}

TEST_F(LeaseTest, MovesAShardOnlyOnceItsHolderHasLetGo) {
  Peer first = ready("work", 0);
  now_ += Monotonic(1'000'000);
  core_.tick(now_);
  Peer second = ready("work", 1);
  core_.tick(now_);
  const auto asked = leases(first, MessageType::kRevoke);
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_TRUE(granted(second).empty());
  say(first, MessageType::kReleased, wire::encode_leases({asked[0]}));
  EXPECT_EQ(granted(second), std::set<std::uint32_t>{asked[0].shard});
  EXPECT_GT(leases(second, MessageType::kGrant)[0].epoch, asked[0].epoch);
}

TEST_F(LeaseTest, StartsTheNextHolderWhereTheLastOneCommitted) {
  Peer source = ready("read", 0);
  Peer first = ready("work", 0);
  Peer second = ready("work", 1);
  commit(source, {}, {frame()});
  commit(source, {}, {frame()});
  const std::uint32_t shard = *granted(first).begin();
  wire::Commit one;
  one.consumed = {{0, shard, 0, 1}};
  commit(first, one);
  settle();
  core_.on_died(1, 0, 100, now_);
  now_ += Monotonic(1'000'000);
  core_.tick(now_);
  ASSERT_EQ(granted(second).count(shard), 1U);
  for (const std::uint64_t frame_read : out_.asked_for) core_.on_frame(0, frame_read, frame());
  core_.pump(now_);
  std::map<std::uint64_t, int> offsets;
  for (const Recorder::Sent& sent : out_.sent) {
    if (sent.to != second.incarnation || sent.header.type != MessageType::kDeliver) continue;
    const auto delivery = wire::decode_delivery(wire::body_of(sent.message));
    for (const wire::DeliveryHeader& batch : delivery->batches) {
      if (batch.shard == shard) ++offsets[batch.offset];
    }
  }
  EXPECT_EQ(offsets.count(0), 0U) << "it was committed";
}

TEST_F(LeaseTest, HoldsBackWhatAddsToTheJournalUntilTheCheckpointThatFreesItIsDone) {
  Peer source = ready("read", 0);
  Peer first = ready("work", 0);
  Peer second = ready("work", 1);
  std::uint64_t offset = 0;
  const auto consume_all = [&] {
    for (Peer* peer : {&first, &second}) {
      wire::Commit consumed;
      for (const std::uint32_t shard : granted(*peer)) consumed.consumed.push_back({0, shard, offset, offset + 1});
      commit(*peer, consumed);
      say(*peer, MessageType::kCredit,
          wire::encode_totals({(1 << 20) + 45'000 * (offset + 1), 1000 + 2 * (offset + 1)}));
    }
    ++offset;
  };
  // Four segments of frames, all consumed: three of them are only waiting for checkpoints.
  for (std::uint64_t segment = 1; segment <= 4; ++segment) {
    commit(source, {}, {frame(0, 20'000)});
    consume_all();
    core_.tick(now_);
    settle(segment);
  }
  EXPECT_EQ(out_.fenced_why(), "");
  core_.tick(now_);
  const std::uint64_t before = publish_granted(source);
  const std::size_t sent = delivered(first).size() + delivered(second).size();
  commit(source, {}, {frame(0, 20'000)});
  core_.tick(now_);
  settle(4);
  EXPECT_EQ(publish_granted(source), before) << "the source goes on";
  EXPECT_EQ(delivered(first).size() + delivered(second).size(), sent) << "a stage with outputs goes on";
  // The checkpoints come into force, and everything flows again.
  std::size_t answered = 0;
  for (int i = 0; i < 6; ++i) {
    for (; answered < out_.checkpoints.size(); ++answered) core_.on_checkpoint(as_bytes("where it lies"));
    core_.tick(now_);
    settle(4);
    sync();
  }
  EXPECT_GT(publish_granted(source), before);
  EXPECT_GT(delivered(first).size() + delivered(second).size(), sent);
}

TEST_F(LeaseTest, CopiesWhatASlowGroupNeedsOutOfOldSegments) {
  Peer source = ready("read");
  // One frame that nobody consumes, and a journal that goes on for other reasons.
  commit(source, {}, {frame(0, 2'000)});
  settle(1);
  core_.tick(now_);
  EXPECT_TRUE(out_.copies.empty());
  commit(source, {}, {frame(0, 10)});
  settle(20);
  core_.tick(now_);
  ASSERT_EQ(out_.copies.size(), 1U);
  CopyJob copy = out_.copies.front();
  ASSERT_EQ(copy.items.size(), 1U);
  EXPECT_EQ(copy.items[0].place.segment, 1U);
  EXPECT_EQ(copy.items[0].place.size, frame(0, 2'000).size());
  const Place place = copy.items[0].place;
  const Bytes& entry = out_.payloads[out_.payloads.size() - 2];  // before that of the second frame
  copy.bytes.emplace_back(entry.begin() + place.at, entry.begin() + place.at + place.size);
  const Bytes bytes = copy.bytes.front();
  core_.on_copied(copy);
  EXPECT_EQ(core_.ledger().segment_needed_min(99), 1U) << "it is not written yet";
  settle(21);
  EXPECT_EQ(core_.ledger().segment_needed_min(99), 20U);
  // Where it lies now are its bytes, as they were.
  const Place after = core_.ledger().stream(0).slot(0).place;
  EXPECT_EQ(after.segment, 21U);
  const Bytes& copied = out_.payloads.back();
  EXPECT_EQ(Bytes(copied.begin() + after.at, copied.begin() + after.at + after.size), bytes);
  core_.tick(now_);
  EXPECT_EQ(out_.copies.size(), 1U) << "what lies in the last segments stays";
}

TEST_F(LeaseTest, LeavesWhatIsNeededInPlaceWhileMostOfTheJournalIs) {
  Peer source = ready("read");
  // Segments of a megabyte, each with more than half a megabyte that waits.
  for (std::uint64_t segment = 1; segment <= 20; ++segment) {
    for (int i = 0; i < 3; ++i) commit(source, {}, {frame(0, 50'000)});
    settle(segment);
    core_.tick(now_);
  }
  EXPECT_TRUE(out_.copies.empty());
}

}  // namespace
}  // namespace weir::core
