// SPDX-License-Identifier: Apache-2.0
// Parked records: state that the holder of their shard works off or drops, and that has its bound.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "sdk/wire/map.h"
#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

constexpr std::uint32_t kWork = 1;
constexpr std::uint32_t kRecordBytes = 100;

Topology parking(OnErrorThen then = OnErrorThen::kParkKey) {
  Topology topology = small_topology("parked");
  Stream stream = small_stream("lines");
  stream.partition = PartitionBy::kHash;
  stream.shards = 2;
  StageSpec work = working_stage(1);
  work.then = then;
  work.parked_bytes_max = 3 * kRecordBytes;
  topology.streams = {stream};
  topology.stages = {source_stage(), work};
  return topology;
}

class ParkedTest : public CoreFixture {
 protected:
  ParkedTest() : CoreFixture(parking()) {}

  static Bytes key(const char* text) { return Bytes(as_bytes(text).begin(), as_bytes(text).end()); }
  static LetterFound parked(const char* record_key, std::uint64_t turn) {
    LetterFound found;
    found.stage = kWork;
    found.id = "work/lines/0/" + std::to_string(turn);
    found.stream = "lines";
    found.key = key("place");
    found.parked = wire::encode(wire::ParkedName{turn, kRecordBytes});
    found.parked_key = key(record_key);
    return found;
  }
  wire::MapReader move(bool again, std::vector<LetterFound> found) {
    out_.replies.clear();
    core_.move_letters("person", {again, std::move(found), {}, 0}, now_);
    settle();
    core_.pump(now_);
    EXPECT_EQ(out_.replies.size(), 1U);
    return *wire::MapReader::parse(out_.replies.back());
  }
  /// A worker that holds both shards.
  Peer holder() {
    Peer peer = ready("work");
    for (const std::uint32_t lane : {0U, 1U}) core_.on_state(peer.incarnation, {kWork, lane, true, {}});
    core_.pump(now_);
    return peer;
  }
  /// Changes of turns [from, to): parked, or gone again.
  void change(Peer& peer, std::uint64_t from, std::uint64_t to, bool put) {
    Bytes changes;
    const Bytes place = key("place");
    for (std::uint64_t turn = from; turn < to; ++turn) {
      const Bytes name = wire::encode(wire::ParkedName{turn, kRecordBytes});
      wire::append_change(changes, {wire::Space::kParked, name, place,
                                    put ? std::optional<BytesView>(as_bytes("letter")) : std::nullopt});
    }
    wire::Commit commit;
    commit.causes = {{kWork, false, "process", 1}};
    commit.changes = {{kWork, 0, changes}};
    this->commit(peer, commit);
  }
  [[nodiscard]] std::vector<wire::Requeued> asked() const {
    std::vector<wire::Requeued> wishes;
    for (const Recorder::Sent& sent : out_.sent) {
      if (sent.header.type == MessageType::kRequeued)
        wishes.push_back(*wire::decode_requeued(wire::body_of(sent.message)));
    }
    return wishes;
  }
};

TEST_F(ParkedTest, AsksTheHolderOncePerKeyHoweverManyOfItsRecordsAreNamed) {
  holder();
  EXPECT_EQ(move(true, {parked("a", 1), parked("b", 2), parked("a", 3)}).integer("count", 0), 3);
  EXPECT_EQ(move(true, {parked("a", 3)}).integer("count", 0), 1) << "it waits anyway";
  const auto wishes = asked();
  ASSERT_EQ(wishes.size(), 2U);
  for (const auto& wish : wishes) {
    EXPECT_EQ(wish.what, wire::Requeue::kParkedKey);
    EXPECT_EQ(wish.stage, kWork);
    EXPECT_EQ(wish.shard, 0U);
  }
  EXPECT_EQ(as_text(wishes[0].key), "a");
  EXPECT_EQ(as_text(wishes[1].key), "b");
}

TEST_F(ParkedTest, HasTheHolderDropRecordsByTheirNames) {
  holder();
  move(false, {parked("a", 1), parked("a", 3), parked("b", 2)});
  const auto wishes = asked();
  ASSERT_EQ(wishes.size(), 2U);
  Bytes names = wire::encode(wire::ParkedName{1, kRecordBytes});
  const Bytes third = wire::encode(wire::ParkedName{3, kRecordBytes});
  names.insert(names.end(), third.begin(), third.end());
  EXPECT_EQ(wishes[0].what, wire::Requeue::kDropParked);
  EXPECT_EQ(as_text(wishes[0].letter), as_text(names));
}

TEST_F(ParkedTest, KnowsWishesAndRoomAfterARestartByJournalAndByCheckpoint) {
  Peer work = holder();
  change(work, 1, 3, true);
  change(work, 1, 2, false);
  move(true, {parked("a", 2)});
  Ledger replayed(topology_);
  for (std::uint64_t i = 0; i < out_.payloads.size(); ++i)
    ASSERT_TRUE(replayed.apply(Sequence(i), Buffer::of(Bytes(out_.payloads[i])), {1, 4096, 0, 0}, false).ok());
  std::vector<Ledger::Fixup> fixups;
  Ledger restored(topology_);
  ASSERT_TRUE(restored.decode_checkpoint(core_.ledger().encode_checkpoint(fixups)).ok());
  for (const Ledger* ledger : {&replayed, &restored}) {
    EXPECT_EQ(ledger->parked_bytes(kWork), kRecordBytes);
    ASSERT_EQ(ledger->requeued(kWork).size(), 1U);
    EXPECT_EQ(ledger->requeued(kWork).begin()->second.what, wire::Requeue::kParkedKey);
  }
}

TEST_F(ParkedTest, FailsTheStageWhenTheRoomIsFull) {
  Peer work = holder();
  change(work, 1, 4, true);
  EXPECT_EQ(out_.fenced_why(), "");
  change(work, 2, 3, false);
  change(work, 4, 5, true);
  EXPECT_EQ(out_.fenced_why(), "") << "what is gone gives its room back";
  change(work, 5, 6, true);
  EXPECT_EQ(out_.fenced_why(), "the room for records that failed is full");
}

TEST_F(ParkedTest, FencesAWorkerThatParksUnderNoName) {
  Peer work = holder();
  Bytes changes;
  wire::append_change(changes, {wire::Space::kParked, as_bytes("x"), as_bytes("place"), as_bytes("letter")});
  wire::Commit commit;
  commit.changes = {{kWork, 0, changes}};
  this->commit(work, commit);
  EXPECT_EQ(out_.fenced_why(), "its state changes are malformed");
}

TEST_F(ParkedTest, DropsThemItselfOnceTheirShardHasFinishedAndWorksThemOffNoMore) {
  Peer source = ready("read");
  Peer work = holder();
  change(work, 1, 3, true);
  wire::Commit end;
  end.enumeration_ended = true;
  commit(source, end);
  EXPECT_EQ(move(false, {parked("a", 1)}).integer("refused", 0), 1) << "it is about to finish";
  wire::Commit finish;
  finish.finished = {0, 1};
  commit(work, finish);
  settle();
  EXPECT_EQ(move(true, {parked("a", 1)}).integer("refused", 0), 1);
  EXPECT_EQ(core_.ledger().parked_bytes(kWork), 2 * kRecordBytes);
  EXPECT_EQ(move(false, {parked("a", 1), parked("a", 2)}).integer("count", 0), 2);
  EXPECT_EQ(core_.ledger().parked_bytes(kWork), 0U);
  EXPECT_TRUE(asked().empty());
}

TEST_F(ParkedTest, TellsWorkersOfWhatIsParkedThoughTheStageParksNoMore) {
  Peer work = holder();
  change(work, 1, 2, true);
  const Topology now = parking(OnErrorThen::kSkip);
  Recorder out;
  Core later(topology_, {}, out);
  for (std::uint64_t i = 0; i < out_.payloads.size(); ++i)
    ASSERT_TRUE(later.ledger().apply(Sequence(i), Buffer::of(Bytes(out_.payloads[i])), {1, 4096, 0, 0}, false).ok());
  ASSERT_TRUE(later.revise(now).ok());
  later.start(Reign(2), {1, 1}, now_);
  EXPECT_TRUE(later.ledger().keeps_state(later.ledger().units()[kWork]));
  EXPECT_FALSE(Ledger(now).keeps_state(later.ledger().units()[kWork]));
}

}  // namespace
}  // namespace weir::core
