// SPDX-License-Identifier: Apache-2.0
// Stages joined by fused streams, and what the runner writes into a transaction.
#include "stages/host/chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdk/wire/key.h"
#include "stages/host/batch_slices.h"
#include "stages/host/memory_engine.h"
#include "stages/host/memory_journal.h"
#include "stages/host/restored_lane.h"
#include "stages/host/runner.h"

namespace weir::host {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr std::uint32_t kIn = 0;
constexpr std::uint32_t kBetween = 1;
constexpr std::uint32_t kOut = 2;

Bytes number(int value) { return {static_cast<std::byte>(value)}; }

/// Two stages in one worker: "in" -> first -> (fused) -> second -> "out", with a journal in memory.
class FusedPair : public ::testing::Test {
 protected:
  void start(const std::string& first, const std::string& second, std::uint32_t in_shards = 1) {
    topology_.streams.resize(3);
    topology_.streams[kIn].name = "in";
    topology_.streams[kIn].shards = in_shards;
    topology_.streams[kIn].partition = PartitionBy::kHash;
    topology_.streams[kBetween].name = "between";
    topology_.streams[kBetween].transport = Transport::kFused;
    topology_.streams[kOut].name = "out";
    topology_.streams[kOut].shards = 4;
    topology_.streams[kOut].partition = PartitionBy::kHash;
    topology_.broker.transaction_bytes_max = 8 << 20;
    topology_.stages.resize(2);
    topology_.stages[0].name = "first";
    topology_.stages[0].plugin = first;
    topology_.stages[0].inputs = {{"in", kIn}};
    topology_.stages[0].outputs = {{"out", kBetween}};
    topology_.stages[1].name = "second";
    topology_.stages[1].plugin = second;
    topology_.stages[1].inputs = {{"in", kBetween}};
    topology_.stages[1].outputs = {{"out", kOut}};
    journal_ = std::make_unique<MemoryJournal>(topology_, 0);
  }

  void feed(std::uint32_t shard, int value, const std::string& key = "k") {
    Bytes packed = {static_cast<std::byte>(0xa0 | key.size())};
    packed.insert(packed.end(), as_bytes(key).begin(), as_bytes(key).end());
    const Bytes bytes = number(value);
    journal_->feed(kIn, shard, {1000, packed, bytes, {}});
  }

  void run() {
    Libraries libraries({WEIR_TEST_PROBE});
    MemoryEngine engine(topology_, 0, *journal_);
    Chain chain(topology_, 0, 0);
    const Status created =
        chain.create([&](const StageSpec& spec) { return libraries.find(spec.plugin); },
                     [](const StageSpec&, const weir_descriptor&) { return Result<std::string>("{}"); });
    ASSERT_TRUE(created.ok()) << created.error().message;
    Runner runner(topology_, chain, engine, RunnerClock{[] { return Monotonic{0}; }, [] { return 777; }});
    for (std::uint64_t before = UINT64_MAX; !engine.idle() || engine.committed() != before;) {
      before = engine.committed();
      ASSERT_FALSE(runner.turn()) << engine.failure();
    }
  }

  wire::Commit commit(std::size_t index) {
    auto commit = wire::decode_commit(journal_->bodies().at(index), 0);
    EXPECT_TRUE(commit.ok());
    return std::move(*commit);
  }

  Topology topology_;
  std::unique_ptr<MemoryJournal> journal_;
};

TEST_F(FusedPair, CommitsInputAndOutputAndCountsOfBothStagesAtOnce) {
  start("probe.twice", "probe.twice", 2);
  feed(0, 1);
  feed(1, 2, "m");
  feed(1, 3, "n");
  run();
  ASSERT_THAT(journal_->bodies(), SizeIs(1));
  const wire::Commit commit = this->commit(0);
  ASSERT_THAT(commit.consumed, SizeIs(2));
  EXPECT_EQ(commit.consumed[1].stream, kIn);
  EXPECT_EQ(commit.consumed[1].shard, 1U);
  EXPECT_EQ(commit.consumed[1].from, 0U);
  EXPECT_EQ(commit.consumed[1].to, 2U);
  EXPECT_EQ(journal_->counted(0).records_in, 3U);
  EXPECT_EQ(journal_->counted(0).records_out, 6U);
  EXPECT_EQ(journal_->counted(1).records_in, 6U);
  EXPECT_EQ(journal_->counted(1).records_out, 12U);
  ASSERT_THAT(commit.frames, SizeIs(1));
  const auto frame = wire::FrameView::parse(
      BytesView(journal_->bodies()[0]).subspan(commit.frames[0].position, commit.frames[0].size));
  ASSERT_TRUE(frame.ok());
  EXPECT_EQ(frame->header().stream, kOut);
  EXPECT_EQ(frame->header().records, 12U);
}

TEST_F(FusedPair, PutsEachRecordIntoTheShardOfItsKey) {
  start("probe.twice", "probe.twice");
  for (const char* key : {"a", "b", "c", "d", "e"}) feed(0, 1, key);
  run();
  ASSERT_THAT(journal_->emitted(), SizeIs(20));
  for (const MemoryJournal::Emitted& emitted : journal_->emitted()) {
    EXPECT_EQ(emitted.shard, wire::shard_by_hash(emitted.key, 4).value());
    EXPECT_EQ(emitted.timestamp, 1000);
  }
}

TEST_F(FusedPair, ConsumesARecordTogetherWithAllThatTheSecondStageMakesOfIt) {
  start("probe.burst", "probe.twice");
  for (int i = 0; i < 30; ++i) feed(0, 1);
  run();
  EXPECT_GE(journal_->transactions(), 2U);
  std::uint64_t records = 0;
  for (std::size_t i = 0; i < journal_->bodies().size(); ++i) {
    const wire::Commit commit = this->commit(i);
    ASSERT_THAT(commit.consumed, SizeIs(1));
    std::uint64_t emitted = 0;
    for (const wire::Counted& counted : commit.counters) {
      if (counted.stage == 1) emitted = counted.records_out;
    }
    EXPECT_EQ(emitted, 2000 * (commit.consumed[0].to - commit.consumed[0].from));
    records += emitted;
  }
  EXPECT_EQ(records, 60'000U);
}

TEST_F(FusedPair, KeepsEveryDeadLetterOfASecondStageAlsoWhereManyComeFromOneRecord) {
  start("probe.burst", "probe.strict");
  for (int i = 0; i < 3; ++i) feed(0, 1);
  run();
  const auto& letters = journal_->entries(1, 0, wire::Space::kDeadLetter);
  ASSERT_THAT(letters, SizeIs(3000));
  std::map<std::uint64_t, int> by_offset;
  for (const auto& [key, value] : letters) {
    const auto letter = wire::decode_dead_letter(value);
    ASSERT_TRUE(letter);
    EXPECT_EQ(letter->stream, "between");
    ++by_offset[letter->offset.value()];
  }
  EXPECT_EQ(by_offset, (std::map<std::uint64_t, int>{{0, 1000}, {1, 1000}, {2, 1000}}));
  EXPECT_EQ(journal_->counted(1).dead_letters, 3000U);
  EXPECT_EQ(journal_->causes(1, false, "process"), 3000U);
}

TEST_F(FusedPair, CommitsManyDeadLettersInTransactionsThatStaySmall) {
  start("probe.strict", "probe.strict");
  topology_.broker.transaction_bytes_max = 16 << 10;
  for (int i = 0; i < 1000; ++i) {
    Bytes no_number = {std::byte{0xa2}, std::byte{'n'}, std::byte{'o'}};
    journal_->feed(kIn, 0, {1000, wire::nil_bytes(), no_number, {}});
  }
  run();
  EXPECT_THAT(journal_->entries(0, 0, wire::Space::kDeadLetter), SizeIs(1000));
  for (const Bytes& body : journal_->bodies()) EXPECT_LT(body.size(), 16U << 10);
}

TEST_F(FusedPair, FinishesTheFirstStageBeforeTheSecondAndSaysSoOnce) {
  start("probe.burst", "probe.strict");
  feed(0, 0);
  journal_->end();
  run();
  // Ten portions of the first stage, one record each, handed on by the second.
  ASSERT_THAT(journal_->emitted(), SizeIs(10));
  EXPECT_TRUE(journal_->finished());
  for (std::size_t i = 0; i + 1 < journal_->bodies().size(); ++i) EXPECT_TRUE(commit(i).finished.empty());
  EXPECT_THAT(commit(journal_->bodies().size() - 1).finished, ElementsAre(0));
}

TEST_F(FusedPair, SaysHowFarEventTimeHasComeWithTheOutputsOfThatMoment) {
  start("probe.twice", "probe.clock");
  feed(0, 1);
  journal_->advance(5000);
  run();
  EXPECT_EQ(journal_->advanced(0), 5000);
  ASSERT_THAT(journal_->emitted(), SizeIs(1));
  EXPECT_EQ(journal_->emitted()[0].timestamp, 5000);
}

TEST_F(FusedPair, CountsRecordsThatComeBehindTheWatermark) {
  start("probe.twice", "probe.twice");
  journal_->advance(1000);
  run();
  feed(0, 1);
  feed(0, 2);
  run();
  // The second worker knows by its lease how far event time had come.
  EXPECT_EQ(journal_->counted(0).late, 2U);
}

TEST(BatchSlices, AreTheBatchInParts) {
  Bytes records;
  for (int i = 0; i < 10; ++i) {
    const Bytes value = number(i);
    wire::append_record(records, {i, wire::nil_bytes(), value, {}});
  }
  wire::DeliveryHeader header;
  header.offset = 100;
  header.count = 10;
  header.bytes = static_cast<std::uint32_t>(records.size());
  BatchSlices slices(header, records);
  Bytes again;
  std::vector<std::uint64_t> offsets;
  while (!slices.empty()) {
    const auto slice = slices.next(4);
    offsets.push_back(slice.header.offset);
    EXPECT_EQ(slice.header.bytes, slice.records.size());
    again.insert(again.end(), slice.records.begin(), slice.records.end());
  }
  EXPECT_THAT(offsets, ElementsAre(100, 104, 108));
  EXPECT_EQ(again, records);
}

TEST(SliceSize, GivesASlowStageLittleAtATimeAndAFastOneEverything) {
  SliceSize slow;
  slow.learn(256, std::chrono::seconds(10));
  EXPECT_EQ(slow.records(), 1U);
  SliceSize fast;
  for (int i = 0; i < 10; ++i) fast.learn(fast.records(), Monotonic{10});
  EXPECT_GT(fast.records(), 100'000U);
}

TEST(RestoredLane, LeavesOutWhatALaterPartErases) {
  const Bytes one = number(1);
  const Bytes two = number(2);
  const auto change = [](std::string_view key, std::optional<BytesView> value) {
    return wire::Change{wire::Space::kState, {}, as_bytes(key), value};
  };
  Bytes older;
  wire::append_change(older, change("a", one));
  wire::append_change(older, change("b", one));
  Bytes newer;
  wire::append_change(newer, change("a", std::nullopt));
  wire::append_change(newer, change("b", two));
  RestoredLane lane;
  lane.add(3, older);
  lane.add(3, newer);
  std::vector<std::string> seen;
  const Status status = lane.visit(3, [&](const wire::Change& left) -> Status {
    seen.push_back(std::string(as_text(left.key)) + std::to_string(static_cast<int>((*left.value)[0])));
    return {};
  });
  EXPECT_TRUE(status.ok());
  EXPECT_THAT(seen, ElementsAre("b2"));
}

}  // namespace
}  // namespace weir::host
