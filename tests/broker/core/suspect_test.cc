// SPDX-License-Identifier: Apache-2.0
// Records that kill their workers: delivered alone, halved, counted, and given up.
#include "broker/core/suspect.h"

#include <gtest/gtest.h>

#include <set>

#include "sdk/wire/batch.h"
#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

constexpr std::uint32_t kWork = 1;

/// A source, a stream of two shards (or one without), and a stage that reads it.
Topology reading(PartitionBy partition, std::uint32_t workers, std::uint32_t retries = 0) {
  Topology topology = small_topology("suspects");
  Stream stream = small_stream("lines");
  stream.partition = partition;
  stream.shards = partition == PartitionBy::kNone ? 1 : 2;
  topology.streams = {stream};
  StageSpec work;
  work.name = "work";
  work.workers = workers;
  work.inputs = {{"in", 0}};
  work.host = kWork;
  work.retries = retries;
  work.dead_letter_bytes_max = 1 << 20;
  topology.stages = {source_stage(), work};
  return topology;
}

class SuspectTest : public CoreFixture {
 protected:
  explicit SuspectTest(Topology topology = reading(PartitionBy::kHash, 1)) : CoreFixture(std::move(topology)) {}

  struct Piece {
    std::uint32_t shard = 0;
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    friend bool operator==(const Piece&, const Piece&) = default;
    friend void PrintTo(const Piece& piece, std::ostream* out) {
      *out << piece.shard << ": [" << piece.from << ", " << piece.to << ")";
    }
  };
  /// `count` records in shard 0, and as many in shard 1 if it is there, as one frame.
  void publish(Peer& source, std::uint32_t count) {
    Bytes batch;
    for (std::uint32_t i = 0; i < count; ++i) wire::append_record(batch, {0, wire::nil_bytes(), wire::nil_bytes(), {}});
    const std::uint32_t shards = topology_.streams[0].shards;
    const wire::FrameHeader header{0, shards, std::uint64_t{count} * shards, 0};
    Bytes frame;
    ByteWriter writer(frame);
    writer.raw(std::as_bytes(std::span(&header, 1)));
    for (std::uint32_t shard = 0; shard < shards; ++shard) {
      const wire::BatchHeader entry{shard, count, static_cast<std::uint32_t>(batch.size()), 0, 0, 0};
      writer.raw(std::as_bytes(std::span(&entry, 1)));
    }
    for (std::uint32_t shard = 0; shard < shards; ++shard) writer.raw(batch);
    commit(source, {}, {frame});
    frames_.push_back(std::move(frame));
  }
  /// What was delivered to a worker since this was asked last.
  std::vector<Piece> delivered(const Peer& peer) {
    // What is cold is read back.
    for (; frames_read_ < out_.asked_for.size(); ++frames_read_)
      core_.on_frame(0, out_.asked_for[frames_read_], Bytes(frames_[out_.asked_for[frames_read_]]));
    core_.pump(now_);
    std::vector<Piece> pieces;
    for (std::size_t& i = seen_[peer.incarnation]; i < out_.sent.size(); ++i) {
      const Recorder::Sent& sent = out_.sent[i];
      if (sent.to != peer.incarnation || sent.header.type != MessageType::kDeliver) continue;
      const auto delivery = wire::decode_delivery(wire::body_of(sent.message));
      for (const wire::DeliveryHeader& batch : delivery->batches) {
        pieces.push_back({batch.shard, batch.offset, batch.offset + batch.count});
        last_awaited_ = batch.awaited != 0;
      }
    }
    return pieces;
  }
  [[nodiscard]] std::vector<wire::Condemned> condemned(const Peer& peer) const {
    std::vector<wire::Condemned> found;
    for (const Recorder::Sent& sent : out_.sent) {
      if (sent.to == peer.incarnation && sent.header.type == MessageType::kCondemned)
        found.push_back(*wire::decode_condemned(wire::body_of(sent.message)));
    }
    return found;
  }
  void consume(Peer& peer, const Piece& piece) {
    wire::Commit done;
    done.consumed = {{0, piece.shard, piece.from, piece.to}};
    commit(peer, done);
  }
  /// The worker dies at a record, and its successor says hello.
  Peer killed_by(std::uint64_t offset, std::uint32_t shard = 0, std::uint32_t index = 0) {
    core_.on_died(kWork, index, 100 + index, now_, FatalRecord{0, shard, offset, 0, "signal 11 (SIGSEGV)", {}, false});
    return ready("work", index);
  }

  bool last_awaited_ = false;  ///< of what delivered() has told last
  std::map<Incarnation, std::size_t> seen_;
  std::vector<Bytes> frames_;
  std::size_t frames_read_ = 0;
};

TEST_F(SuspectTest, DeliversWhatCameBeforeAndThenTheRecordAlone) {
  Peer source = ready("read");
  Peer work = ready("work");
  publish(source, 10);
  settle();
  EXPECT_EQ(delivered(work), (std::vector<Piece>{{0, 0, 10}, {1, 0, 10}}));
  EXPECT_FALSE(last_awaited_);
  work = killed_by(4);
  EXPECT_EQ(delivered(work), (std::vector<Piece>{{0, 0, 4}})) << "and nothing of the other shard";
  EXPECT_TRUE(last_awaited_);
  consume(work, {0, 0, 4});
  EXPECT_EQ(delivered(work), (std::vector<Piece>{{0, 4, 5}}));
  EXPECT_TRUE(last_awaited_);
  consume(work, {0, 4, 5});
  EXPECT_EQ(delivered(work), (std::vector<Piece>{{0, 5, 10}, {1, 0, 10}})) << "it was innocent: all goes on";
  EXPECT_FALSE(last_awaited_);
  EXPECT_EQ(out_.fenced_why(), "");
}

class RetriedSuspectTest : public SuspectTest {
 protected:
  RetriedSuspectTest() : SuspectTest(reading(PartitionBy::kHash, 1, 1)) {}
};

TEST_F(RetriedSuspectTest, GivesUpARecordThatKilledOneWorkerMoreThanItIsRetried) {
  Peer source = ready("read");
  ready("work");
  publish(source, 3);
  settle();
  Peer work = killed_by(0);  // in the crowd: does not count
  for (int death = 0; death < 2; ++death) {
    EXPECT_EQ(delivered(work), (std::vector<Piece>{{0, 0, 1}}));
    EXPECT_TRUE(condemned(work).empty()) << death;
    work = killed_by(0);
  }
  EXPECT_EQ(delivered(work), (std::vector<Piece>{{0, 0, 1}}));
  const auto given_up = condemned(work);
  ASSERT_EQ(given_up.size(), 1U);
  EXPECT_EQ(given_up[0].offset, 0U);
  EXPECT_EQ(given_up[0].attempts, 2U);
  EXPECT_EQ(given_up[0].reason, "it killed 2 workers while it was processed, last by signal 11 (SIGSEGV)");
}

TEST_F(SuspectTest, CondemnsAgainWhenTheWorkerThatShouldGiveItUpDiesFromOutside) {
  Peer source = ready("read");
  ready("work");
  publish(source, 3);
  settle();
  Peer work = killed_by(0);
  delivered(work);
  work = killed_by(0);
  delivered(work);
  ASSERT_EQ(condemned(work).size(), 1U);
  core_.on_died(kWork, 0, 100, now_);
  work = ready("work");
  EXPECT_EQ(delivered(work), (std::vector<Piece>{{0, 0, 1}}));
  EXPECT_EQ(condemned(work).size(), 1U);
}

TEST_F(SuspectTest, CountsNoDeathFromOutside) {
  Peer source = ready("read");
  ready("work");
  publish(source, 3);
  settle();
  Peer work = killed_by(0);
  for (int death = 0; death < 20; ++death) {
    EXPECT_EQ(delivered(work), (std::vector<Piece>{{0, 0, 1}}));
    core_.on_died(kWork, 0, 100, now_);
    work = ready("work");
  }
  delivered(work);
  EXPECT_TRUE(condemned(work).empty());
}

TEST_F(SuspectTest, HalvesWhatKillsThoughAnotherRecordWasNamed) {
  Peer source = ready("read");
  ready("work");
  publish(source, 64);
  settle();
  // Record 21 spoils the memory; the worker dies three records later, or at the end of what it was given.
  constexpr std::uint64_t kGuilty = 21;
  Peer work = killed_by(kGuilty + 3);
  std::size_t deaths = 0;
  while (condemned(work).empty() && deaths < 100) {
    const auto pieces = delivered(work);
    ASSERT_EQ(pieces.size(), 1U);
    const Piece piece = pieces[0];
    if (!condemned(work).empty()) break;
    if (piece.from <= kGuilty && kGuilty < piece.to) {
      ++deaths;
      work = killed_by(std::min(kGuilty + 3, piece.to - 1));
    } else {
      consume(work, piece);
    }
  }
  ASSERT_EQ(condemned(work).size(), 1U);
  EXPECT_EQ(condemned(work)[0].offset, kGuilty);
  EXPECT_LE(deaths, 8U) << "64 records are halved six times";
  EXPECT_EQ(out_.fenced_why(), "");
}

TEST_F(SuspectTest, BelievesNothingThatThePageCannotMean) {
  Peer source = ready("read");
  ready("work");
  publish(source, 3);
  settle();
  for (const FatalRecord& nonsense :
       {FatalRecord{7, 0, 0, 0, "", {}, false}, FatalRecord{0, 9, 0, 0, "", {}, false},
        FatalRecord{0, 0, 3, 0, "", {}, false}, FatalRecord{0, 0, UINT64_MAX, 0, "", {}, false},
        FatalRecord{0, 0, 0, 12, "", {}, false}}) {
    core_.on_died(kWork, 0, 100, now_, nonsense);
    Peer work = ready("work");
    EXPECT_EQ(delivered(work), (std::vector<Piece>{{0, 0, 3}, {1, 0, 3}}));
  }
}

class SuspectRangeTest : public SuspectTest {
 protected:
  SuspectRangeTest() : SuspectTest(reading(PartitionBy::kNone, 2)) {}
};

TEST_F(SuspectRangeTest, SetsOneWorkerApartWhileTheOtherGoesOn) {
  Peer source = ready("read");
  Peer first = ready("work", 0);
  Peer second = ready("work", 1);
  publish(source, 10);
  settle();
  const bool got_it = !delivered(first).empty();
  const std::uint32_t victim = got_it ? 0 : 1;
  Peer& other = got_it ? second : first;
  Peer next = killed_by(4, 0, victim);
  // Nobody else is busy, so either may be the one that is set apart; the other takes what comes now.
  publish(source, 5);
  settle();
  auto of_other = delivered(other);
  auto of_next = delivered(next);
  Peer& apart = !of_other.empty() && of_other[0] == Piece{0, 0, 4} ? other : next;
  Peer& free = &apart == &other ? next : other;
  EXPECT_EQ(&apart == &other ? of_other : of_next, (std::vector<Piece>{{0, 0, 4}}));
  EXPECT_EQ(&apart == &other ? of_next : of_other, (std::vector<Piece>{{0, 10, 15}}));
  consume(apart, {0, 0, 4});
  EXPECT_EQ(delivered(apart), (std::vector<Piece>{{0, 4, 5}}));
  consume(apart, {0, 4, 5});
  consume(free, {0, 10, 15});
  auto rest = delivered(apart);
  for (const Piece& piece : delivered(free)) rest.push_back(piece);
  EXPECT_EQ(rest, (std::vector<Piece>{{0, 5, 10}}));
  EXPECT_EQ(out_.fenced_why(), "");
}

}  // namespace
}  // namespace weir::core
