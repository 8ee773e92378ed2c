// SPDX-License-Identifier: Apache-2.0
// What sources may have under way at once: one that is alone much, several together not more, and who is far ahead of
// its readers only a little.
#include <gtest/gtest.h>

#include <array>

#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kSources = 4;
constexpr std::size_t kMuch = 200'000;
constexpr std::size_t kLittle = 100;

/// Sources with a stream each, and a stage that reads them all.
Topology four_sources(std::uint64_t memory_bytes) {
  Topology topology = small_topology("sources");
  topology.broker.memory_bytes = memory_bytes;
  topology.stages.resize(kSources + 1);
  StageSpec work = working_stage(1);
  work.inputs.clear();
  work.host = kSources;
  for (std::uint32_t i = 0; i < kSources; ++i) {
    topology.streams.push_back(small_stream("stream" + std::to_string(i)));
    topology.streams.back().backlog_bytes_max = 1 << 30;
    StageSpec source = source_stage();
    source.name = "read" + std::to_string(i);
    source.outputs = {{"out", i}};
    source.host = i;
    work.inputs.emplace_back(PortBinding{"in" + std::to_string(i), i});
    topology.stages[i] = source;
  }
  topology.stages[kSources] = work;
  return topology;
}

class PublishingTest : public CoreFixture {
 protected:
  /// By default nothing piles up in memory.
  explicit PublishingTest(std::uint64_t memory_bytes = 1ULL << 30) : CoreFixture(four_sources(memory_bytes)) {
    for (std::uint32_t i = 0; i < kSources; ++i) sources_[i] = ready("read" + std::to_string(i));
  }

  /// Source `index` publishes a record of so many bytes, which is settled at once.
  void publish(std::uint32_t index, std::size_t bytes) {
    const Bytes frame = frame_of_one(index, 0, Bytes(bytes, std::byte{0xc0}));
    wire::Commit commit;
    commit.transaction = ++sources_[index].transactions;
    Bytes body;
    wire::encode(commit, std::vector<BytesView>{frame}, body);
    published_[index] += wire::publish_cost(body.size());
    say(sources_[index], MessageType::kCommit, body);
    settle();
  }
  /// What a source may publish yet.
  [[nodiscard]] std::uint64_t allowance(std::uint32_t index) const {
    const std::uint64_t granted = told(index).first;
    return granted - std::min(granted, published_[index]);
  }
  /// How much is granted in all, and what a transaction is to emit at most.
  [[nodiscard]] wire::Totals told(std::uint32_t index) const {
    wire::Totals last;
    for (const Recorder::Sent& sent : out_.sent) {
      if (sent.to == sources_[index].incarnation && sent.header.type == MessageType::kPublish)
        last = *wire::decode_totals(wire::body_of(sent.message));
    }
    return last;
  }
  [[nodiscard]] std::uint64_t all() const { return topology_.broker.transaction_bytes_max; }

  std::array<Peer, kSources> sources_;
  std::array<std::uint64_t, kSources> published_{};
};

TEST_F(PublishingTest, SharesWhatMayBeUnderWayAmongThoseWhoPublishMuch) {
  for (int round = 0; round < 10; ++round) {
    for (std::uint32_t i = 0; i < kSources; ++i) publish(i, kMuch);
    now_ += 1ms;
  }
  for (std::uint32_t i = 0; i < kSources; ++i) {
    EXPECT_GT(allowance(i), 0U) << "source " << i << " waits though nothing of it is under way";
    EXPECT_LE(allowance(i), all() / kSources + 4 * wire::kPublishOverhead) << "source " << i;
  }
}

TEST_F(PublishingTest, LeavesItToOneWhereTheOthersHaveStoppedOrPublishLittle) {
  for (int round = 0; round < 10; ++round) {
    for (std::uint32_t i = 0; i < kSources; ++i) publish(i, kMuch);
    now_ += 1ms;
  }
  for (int round = 0; round < 10; ++round) {
    publish(0, kMuch);
    publish(1, kLittle);
    now_ += 100ms;
  }
  EXPECT_GE(allowance(0), all() / 2);
}

TEST_F(PublishingTest, AdmitsATransactionOfAnySizeWhereNothingIsUnderWay) {
  for (std::uint32_t i = 0; i < kSources; ++i) {
    publish(i, 3 * kMuch);
    now_ += 1ms;
  }
  for (std::uint32_t i = 0; i < kSources; ++i) publish(i, kMuch);
  for (std::uint32_t i = 0; i < kSources; ++i) EXPECT_GT(allowance(i), 0U) << "source " << i;
}

TEST_F(PublishingTest, AsksForTransactionsOfNoMoreThanTheirShare) {
  EXPECT_GE(told(0).second, all() / 2) << "alone";
  for (int round = 0; round < 10; ++round) {
    for (std::uint32_t i = 0; i < kSources; ++i) publish(i, kMuch);
    now_ += 1ms;
  }
  for (std::uint32_t i = 0; i < kSources; ++i) {
    EXPECT_LE(told(i).second, all() / kSources + 4 * wire::kPublishOverhead) << "source " << i;
    EXPECT_GE(told(i).second, 64U << 10) << "source " << i;
  }
}

/// Of 8 MiB of memory 1 MiB is a pile, and half of it is what waits there at most.
class PilesTest : public PublishingTest {
 protected:
  static constexpr std::uint64_t kMemory = 8 << 20;
  PilesTest() : PublishingTest(kMemory) {}

  void publish_slowly(std::uint32_t index, std::uint64_t bytes) {
    for (std::uint64_t done = 0; done < bytes; done += kMuch) {
      now_ += 100ms;
      publish(index, kMuch);
    }
  }
  /// What it may publish when it has just published, with no time to get more bit by bit.
  std::uint64_t allowance_at_once(std::uint32_t index) {
    now_ += 100ms;
    publish(index, kMuch);  // for which it gets what has gathered meanwhile
    publish(index, kMuch);
    return allowance(index);
  }
};

TEST_F(PilesTest, ASourceIsHeldBackWhileWhatItMadePilesUpInMemory) {
  publish_slowly(0, kMemory / 16);
  EXPECT_GE(allowance_at_once(0), all() / 2) << "there is no pile yet";
  publish_slowly(0, kMemory / 8);
  EXPECT_LT(allowance_at_once(0), all() / 2);
  const std::uint64_t before = told(0).first;
  now_ += 2ms;
  core_.pump(now_);
  EXPECT_GT(told(0).first, before) << "it never stands still";
  EXPECT_LE(told(0).first - before, 2 * (64U << 10)) << "of two milliseconds";
  now_ += 100ms;
  core_.pump(now_);
  EXPECT_GE(allowance(0), all() / 2);
}

TEST_F(PilesTest, AnotherOneOfWhichLittleWaitsIsNot) {
  publish_slowly(0, kMemory / 4);
  EXPECT_LT(allowance_at_once(0), all() / 2);
  EXPECT_GE(allowance_at_once(1), all() / 2);
}

TEST_F(PilesTest, NorIsOneWhoseReaderHasTakenIt) {
  publish_slowly(0, kMemory / 4);
  Peer work = ready("work");
  say(work, MessageType::kCredit, wire::encode_totals({1ULL << 40, 1ULL << 40}));
  EXPECT_GE(allowance_at_once(0), all() / 2);
}

TEST_F(PilesTest, NorOneWhoseReaderIsSoFarBehindThatItIsReadFromTheJournal) {
  publish_slowly(0, kMemory / 2 + kMemory / 8);
  EXPECT_GE(allowance_at_once(0), all() / 2);
}

/// A source, a stage and a sink.
class PilesBehindTest : public CoreFixture {
 protected:
  PilesBehindTest() : CoreFixture(chain()) {}
  static Topology chain() {
    Topology topology = small_chain("piles");
    topology.broker.memory_bytes = 8 << 20;
    for (Stream& stream : topology.streams) stream.backlog_bytes_max = 1 << 30;
    return topology;
  }
  std::uint64_t granted(const Peer& peer) {
    std::uint64_t last = 0;
    for (const Recorder::Sent& sent : out_.sent) {
      if (sent.to == peer.incarnation && sent.header.type == MessageType::kPublish)
        last = wire::decode_totals(wire::body_of(sent.message))->first;
    }
    return last;
  }
};

TEST_F(PilesBehindTest, ASourceIsHeldBackByWhatPilesUpFartherOnItsWayToo) {
  Peer work = ready("work");
  Bytes frame = frame_of_one(1);
  const auto emit = [&](int times) {
    for (int i = 0; i < times; ++i) commit(work, {}, std::vector<BytesView>{frame});
    settle();
  };
  Peer read = ready("read");
  const std::uint64_t at_first = granted(read);
  const int half = static_cast<int>((1 << 20) / frame.size() / 2);
  emit(half);
  commit(read, {}, std::vector<BytesView>{Bytes(frame_of_one(0))});
  emit(half * 2);
  for (int i = 0; i < 20; ++i) commit(read, {}, std::vector<BytesView>{Bytes(frame_of_one(0))});
  settle();
  EXPECT_EQ(granted(read), at_first) << "no time has passed";
  now_ += 1ms;
  core_.pump(now_);
  EXPECT_LE(granted(read) - at_first, 64U << 10);
}

}  // namespace
}  // namespace weir::core
