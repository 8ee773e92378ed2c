// SPDX-License-Identifier: Apache-2.0
// Dead letters that are dropped, or worked on again: decided by the journal, each once.
#include <gtest/gtest.h>

#include <cstring>

#include "broker/core/letter_id.h"
#include "sdk/wire/batch.h"
#include "sdk/wire/map.h"
#include "tests/broker/core/core_fixture.h"
#include "tests/broker/core/old_checkpoint.h"

namespace weir::core {
namespace {

constexpr std::uint32_t kWork = 1;

/// A stream from outside, and a stage that reads it and has no output.
Topology outside_in() {
  Topology topology = small_topology("letters");
  Stream stream = small_stream("lines");
  stream.partition = PartitionBy::kHash;
  stream.shards = 2;
  topology.streams = {stream};
  StageSpec work;
  work.name = "work";
  work.inputs = {{"in", 0}};
  work.host = kWork;
  work.dead_letter_bytes_max = 1 << 20;
  topology.stages = {source_stage(), work};
  return topology;
}

class LettersTest : public CoreFixture {
 protected:
  LettersTest() : CoreFixture(outside_in()) {}

  static LetterFound letter(std::uint64_t offset, std::uint32_t shard = 0) {
    wire::DeadLetter letter;
    letter.stream = "lines";
    letter.shard = Shard(shard);
    letter.offset = Offset(offset);
    letter.key_bytes = letter.value_bytes = wire::nil_bytes();
    LetterFound found;
    found.stage = kWork;
    found.lane = shard;
    found.id = "work/lines/" + std::to_string(shard) + "/" + std::to_string(offset);
    found.stream = letter.stream;
    found.key = wire::dead_letter_key(letter);
    found.bytes = wire::encode(letter);
    found.kept_bytes = found.key.size() + found.bytes.size();
    return found;
  }
  /// What the broker said last about letters, once it was on disk.
  wire::MapReader move(bool again, std::vector<LetterFound> found) {
    out_.replies.clear();
    LetterRequest request;
    request.again = again;
    request.found = std::move(found);
    core_.move_letters("person", std::move(request), now_);
    settle();
    EXPECT_EQ(out_.replies.size(), 1U);
    return *wire::MapReader::parse(out_.replies.back());
  }
  [[nodiscard]] std::vector<std::uint64_t> requeued_to(const Peer& peer) const {
    std::vector<std::uint64_t> numbers;
    for (const Recorder::Sent& sent : out_.sent) {
      if (sent.to == peer.incarnation && sent.header.type == MessageType::kRequeued)
        numbers.push_back(wire::decode_requeued(wire::body_of(sent.message))->number);
    }
    return numbers;
  }
  void work_off(Peer& peer, std::uint64_t number, std::uint32_t shard = 0) {
    Bytes changes;
    const Bytes key = wire::requeued_key(number);
    wire::append_change(changes, {wire::Space::kRequeued, {}, key, std::nullopt});
    wire::Commit done;
    done.changes = {{kWork, shard, changes}};
    commit(peer, done);
  }
  /// Consumes one record of shard 0 by making it a dead letter.
  void fail(Peer& peer, std::uint64_t offset) {
    const LetterFound made = letter(offset);
    Bytes changes;
    wire::append_change(changes, {wire::Space::kDeadLetter, {}, made.key, BytesView(made.bytes)});
    wire::Commit failed;
    failed.consumed = {{0, 0, offset, offset + 1}};
    failed.counters = {{kWork, 1, 0, 1, 0}};
    failed.changes = {{kWork, 0, changes}};
    commit(peer, failed);
  }
  void publish(Peer& source) { commit(source, {}, {frame_of_one()}); }
  /// All input has come and is worked off.
  void end_input(Peer& source) {
    wire::Commit end;
    end.enumeration_ended = true;
    commit(source, end);
  }
  /// What a start would know.
  Ledger read_back() {
    Ledger ledger(topology_);
    for (std::uint64_t i = 0; i < out_.payloads.size(); ++i) {
      const Status applied = ledger.apply(Sequence(i), Buffer::of(Bytes(out_.payloads[i])), {1, 4096, 0, 0}, false);
      EXPECT_TRUE(applied.ok()) << applied.error().message;
    }
    return ledger;
  }
};

TEST_F(LettersTest, AnswersOnlyOnceADropIsOnDisk) {
  core_.move_letters("person", {false, {letter(3)}, {}, 0}, now_);
  core_.pump(now_);
  EXPECT_TRUE(core_.moves_letters());
  EXPECT_TRUE(out_.replies.empty());
  settle();
  EXPECT_FALSE(core_.moves_letters());
  ASSERT_EQ(out_.replies.size(), 1U);
  EXPECT_EQ(wire::MapReader::parse(out_.replies[0])->integer("count", 0), 1);
}

TEST_F(LettersTest, MakesRoomByDropping) {
  Peer source = ready("read");
  Peer work = ready("work");
  publish(source);
  fail(work, 0);
  ASSERT_EQ(out_.fenced_why(), "");
  EXPECT_GT(core_.ledger().dead_letter_bytes(kWork), 0U);
  move(false, {letter(0)});
  EXPECT_EQ(core_.ledger().dead_letter_bytes(kWork), 0U);
  EXPECT_EQ(core_.dead_letters(), 1U) << "what happened stays counted";
}

TEST_F(LettersTest, FencesWhoWorksOffOneTwiceInATransaction) {
  Peer work = ready("work");
  move(true, {letter(3)});
  ASSERT_EQ(requeued_to(work), std::vector<std::uint64_t>{1});
  Bytes changes;
  const Bytes key = wire::requeued_key(1);
  wire::append_change(changes, {wire::Space::kRequeued, {}, key, std::nullopt});
  wire::Commit twice;
  twice.changes = {{kWork, 0, changes}, {kWork, 0, changes}};
  commit(work, twice);
  EXPECT_EQ(out_.fenced_why(), "it works off a requeued record that is not its own");
  EXPECT_EQ(core_.ledger().requeued(kWork).size(), 1U);
}

TEST_F(LettersTest, GivesRequeuedRecordsToTheHolderInOrderAndOnlyOnceTheyAreOnDisk) {
  Peer work = ready("work");
  core_.move_letters("person", {true, {letter(3), letter(7), letter(5)}, {}, 0}, now_);
  core_.pump(now_);
  EXPECT_TRUE(requeued_to(work).empty());
  settle();
  core_.pump(now_);
  EXPECT_EQ(requeued_to(work), (std::vector<std::uint64_t>{1, 2, 3}));
  EXPECT_EQ(core_.waiting(), 3U);
  for (const std::uint64_t number : {1, 2, 3}) work_off(work, number);
  EXPECT_EQ(out_.fenced_why(), "");
  EXPECT_EQ(core_.waiting(), 0U);
  EXPECT_TRUE(read_back().requeued(kWork).empty());
}

TEST_F(LettersTest, GivesThemAgainAfterADeathButNotWhatWasWorkedOff) {
  Peer first = ready("work");
  move(true, {letter(1), letter(2)});
  work_off(first, 1);
  core_.on_died(kWork, 0, 100, now_);
  Peer second = ready("work");
  EXPECT_EQ(requeued_to(second), std::vector<std::uint64_t>{2});
}

TEST_F(LettersTest, KnowsThemAfterARestartByJournalAndByCheckpoint) {
  move(true, {letter(1), letter(2)});
  const Ledger replayed = read_back();
  ASSERT_EQ(replayed.requeued(kWork).size(), 2U);
  std::vector<Ledger::Fixup> fixups;
  const Bytes checkpoint = core_.ledger().encode_checkpoint(fixups);
  Ledger restored(topology_);
  ASSERT_TRUE(restored.decode_checkpoint(checkpoint).ok());
  ASSERT_EQ(restored.requeued(kWork).size(), 2U);
  EXPECT_EQ(restored.requeued(kWork).at(2).letter, letter(2).bytes);
}

TEST_F(LettersTest, ReadsCheckpointsFromBeforeLettersWereRequeuedAndKeysParked) {
  const Ledger& ledger = core_.ledger();
  Ledger old(topology_);
  const Status read = old.decode_checkpoint(old_checkpoint(ledger, 1));
  EXPECT_TRUE(read.ok()) << read.error().message;
  EXPECT_TRUE(old.requeued(kWork).empty());
  EXPECT_EQ(old.next_sequence(), ledger.next_sequence());
  EXPECT_TRUE(Ledger(topology_).decode_checkpoint(old_checkpoint(ledger, 2)).ok());
  EXPECT_TRUE(Ledger(topology_).decode_checkpoint(old_checkpoint(ledger, 3)).ok());
  std::vector<Ledger::Fixup> fixups;
  const Bytes now = ledger.encode_checkpoint(fixups);
  const auto as_version = [&now](std::uint32_t version) {
    Bytes bytes = now;
    std::memcpy(bytes.data(), &version, sizeof(version));
    return bytes;
  };
  // Version 8 knew of no boundaries that are learned: two numbers for each stream, a byte for each group. Version 7
  // knew of no libraries: a byte for each stage. Version 6 knew of no numbers of workers.
  Bytes without_boundaries = as_version(8);
  without_boundaries.resize(without_boundaries.size() - ledger.units().size() -
                            (sizeof(std::uint64_t) + sizeof(std::uint32_t)) * topology_.streams.size());
  EXPECT_TRUE(Ledger(topology_).decode_checkpoint(without_boundaries).ok());
  Bytes without_libraries = as_version(7);
  without_libraries.resize(without_boundaries.size() - topology_.stages.size());
  EXPECT_TRUE(Ledger(topology_).decode_checkpoint(without_libraries).ok());
  Bytes without_workers = as_version(6);
  without_workers.resize(without_libraries.size() - sizeof(std::uint32_t) * topology_.stages.size());
  EXPECT_TRUE(Ledger(topology_).decode_checkpoint(without_workers).ok());
  // Version 5 knew of nothing lost: a number for each stream. Version 4 knew of no groups outside: a count.
  Bytes without_lost = as_version(5);
  without_lost.resize(without_workers.size() - sizeof(std::uint64_t) * topology_.streams.size());
  EXPECT_TRUE(Ledger(topology_).decode_checkpoint(without_lost).ok());
  Bytes without_groups = as_version(4);
  without_groups.resize(without_lost.size() - sizeof(std::uint32_t) * topology_.streams.size());
  EXPECT_TRUE(Ledger(topology_).decode_checkpoint(without_groups).ok());
  const Bytes newer = as_version(10);
  const Status refused = Ledger(topology_).decode_checkpoint(newer);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kRefused);
  EXPECT_EQ(
      refused.error().message,
      "the checkpoint has version 10, this Weir reads versions 1 to 9: use the Weir that wrote it, or a newer one");
  for (const std::uint32_t wrong : {0U, 3U, 4U, 5U, 6U, 7U, 8U}) {
    Bytes checkpoint = old_checkpoint(ledger, 2);
    std::memcpy(checkpoint.data(), &wrong, sizeof(wrong));
    EXPECT_FALSE(Ledger(topology_).decode_checkpoint(checkpoint).ok()) << "version " << wrong;
  }
}

TEST_F(LettersTest, FencesAWorkerThatWorksOneOffTwiceOrThatIsNotItsOwn) {
  Peer work = ready("work");
  move(true, {letter(1)});
  work_off(work, 1);
  ASSERT_EQ(out_.fenced_why(), "");
  work_off(work, 1);
  EXPECT_EQ(out_.fenced_why(), "it works off a requeued record that is not its own");
}

TEST_F(LettersTest, FinishesAShardOnlyBehindItsRequeuedRecords) {
  Peer source = ready("read");
  Peer work = ready("work");
  move(true, {letter(1)});
  end_input(source);
  settle();
  const auto finished = [&] {
    std::size_t shards = 0;
    for (const Recorder::Sent& sent : out_.sent) {
      if (sent.header.type == MessageType::kFinish) shards += wire::decode_shards(wire::body_of(sent.message))->size();
    }
    return shards;
  };
  EXPECT_EQ(finished(), 1U) << "shard 1 has nothing to wait for";
  work_off(work, 1);
  core_.pump(now_);
  EXPECT_EQ(finished(), 2U);
}

TEST_F(LettersTest, RefusesToRequeueWhereTheInputHasEndedWithASentence) {
  Peer source = ready("read");
  ready("work");
  end_input(source);
  settle();
  const wire::MapReader answer = move(true, {letter(4)});
  EXPECT_EQ(answer.integer("count", -1), 0);
  EXPECT_EQ(answer.integer("refused", -1), 1);
  const msgpack::object* sentences = answer.find("sentences");
  ASSERT_NE(sentences, nullptr);
  const std::string sentence = sentences->via.array.ptr[0].as<std::string>();
  EXPECT_NE(sentence.find("work/lines/0/4: its shard has finished"), std::string::npos) << sentence;
  EXPECT_TRUE(core_.ledger().requeued(kWork).empty());
}

}  // namespace
}  // namespace weir::core
