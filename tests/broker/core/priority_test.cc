// SPDX-License-Identifier: Apache-2.0
// Lanes of a stream that is dispatched by priority: who is served when, counted in records.
#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "broker/core/priority_turns.h"
#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

const std::vector<std::uint32_t> kWeights = {16, 4, 1};

TEST(PriorityTurns, LetTheLowestLaneWaitForNoMoreThanItsShareUnderAFlood) {
  for (const std::uint64_t largest : {1U, 7U, 100U}) {
    PriorityTurns turns(kWeights);
    std::mt19937_64 random(largest);
    std::array<std::uint64_t, 3> served{};
    std::uint64_t others = 0;  // since the lowest lane was served
    std::uint64_t may_wait = 2 * largest;
    for (int turn = 0; turn < 100'000; ++turn) {
      const std::uint32_t lane = turns.next({true, true, true}).value();
      const std::uint64_t records = 1 + random() % largest;
      turns.served(lane, records);
      served[lane] += records;
      if (lane != 2) {
        others += records;
        ASSERT_LE(others, may_wait);
        continue;
      }
      others = 0;
      may_wait = (16 + 4) * records + 2 * largest;
    }
    const auto all = static_cast<double>(served[0] + served[1] + served[2]);
    EXPECT_NEAR(static_cast<double>(served[0]) / all, 16.0 / 21, 0.01);
    EXPECT_NEAR(static_cast<double>(served[1]) / all, 4.0 / 21, 0.01);
    EXPECT_NEAR(static_cast<double>(served[2]) / all, 1.0 / 21, 0.01);
  }
}

TEST(PriorityTurns, SaveNothingUpForALaneThatWasEmpty) {
  PriorityTurns turns(kWeights);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(turns.next({false, false, true}), 2U);
    turns.served(2, 100);
  }
  // The first comes, and is at its turn with the next record, but not for all that the last was served without it.
  std::uint64_t first = 0;
  std::uint64_t until_last = 0;
  for (std::uint32_t lane = 0; first < 10'000 && (lane = turns.next({true, false, true}).value()) == 0; ++first)
    turns.served(0, 1);
  EXPECT_GE(first, 1U);
  EXPECT_LE(first, 16U * 100 + 1);
  turns.served(2, 1);
  while (until_last < 1000 && turns.next({true, false, true}) == 0U) turns.served(0, 1), ++until_last;
  EXPECT_LE(until_last, 17U);
  EXPECT_EQ(turns.next({false, false, false}), std::nullopt);
}

constexpr std::size_t kRecordBytes = 1 << 10;
constexpr std::uint64_t kRangeRecords = 33;      ///< a range is cut at the record behind 32 KiB
constexpr std::uint64_t kUnderWayRecords = 128;  ///< 128 KiB wait at a worker

/// A source, a stream of three lanes, and a stage that reads it.
Topology lanes(std::uint32_t workers) {
  Topology topology = small_topology("lanes");
  Stream in = small_stream("in");
  in.shards = 3;
  in.dispatch = Dispatch::kPriority;
  in.priority.weights = kWeights;
  in.backlog_bytes_max = 64 << 20;
  topology.streams = {in};
  topology.stages = {source_stage(), working_stage(workers)};
  return topology;
}

class LanesTest : public CoreFixture {
 protected:
  explicit LanesTest(std::uint32_t workers = 1) : CoreFixture(lanes(workers)) {
    source_ = ready("read");
    worker_ = ready("work");
    give_credit({});
  }

  /// A transaction of the source: so many records for each lane.
  void publish(std::vector<std::uint32_t> counts) {
    Bytes frame;
    Bytes records;
    std::vector<wire::BatchHeader> headers;
    const std::string value(kRecordBytes - 20, 'x');
    std::string packed = "\xda";
    packed += static_cast<char>(value.size() >> 8);
    packed += static_cast<char>(value.size() & 0xff);
    packed += value;
    std::uint32_t all = 0;
    for (std::uint32_t shard = 0; shard < counts.size(); ++shard) {
      if (counts[shard] == 0) continue;
      const std::size_t before = records.size();
      for (std::uint32_t i = 0; i < counts[shard]; ++i)
        wire::append_record(records, {0, wire::nil_bytes(), as_bytes(packed), {}});
      headers.push_back({shard, counts[shard], static_cast<std::uint32_t>(records.size() - before), 0, 0, 0});
      all += counts[shard];
    }
    ByteWriter writer(frame);
    const wire::FrameHeader header{0, static_cast<std::uint32_t>(headers.size()), all, 0};
    writer.raw(std::as_bytes(std::span(&header, 1)));
    writer.raw(std::as_bytes(std::span(headers)));
    writer.raw(records);
    commit(source_, {}, {BytesView(frame)});
    frame_ = std::move(frame);
  }

  struct Range {
    std::uint32_t lane = 0;
    std::uint64_t from = 0;
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
  };
  /// The next range that the worker was sent, if there is one.
  std::optional<Range> take() {
    for (; taken_ < out_.sent.size(); ++taken_) {
      const Recorder::Sent& sent = out_.sent[taken_];
      if (sent.header.type != MessageType::kDeliver || sent.to != worker_.incarnation) continue;
      const auto delivery = wire::decode_delivery(wire::body_of(sent.message));
      EXPECT_EQ(delivery->batches.size(), 1U);
      const wire::DeliveryHeader& batch = delivery->batches.front();
      ++taken_;
      return Range{batch.shard, batch.offset, batch.count, batch.bytes};
    }
    return std::nullopt;
  }
  /// The worker has worked a range off: it is committed, and its credit is back.
  void finish(const Range& range) {
    wire::Commit done;
    done.consumed.push_back({0, range.lane, range.from, range.from + range.count});
    commit(worker_, done);
    give_credit(range);
  }
  void give_credit(const Range& range) {
    credit_.first += range.bytes;
    credit_.second += range.count;
    say(worker_, MessageType::kCredit, wire::encode_totals(credit_));
  }

  Bytes frame_;  ///< that was published last
  Peer source_;
  Peer worker_;
  wire::Totals credit_{1 << 20, 1000};
  std::size_t taken_ = 0;
};

// The promise of "dispatch": "priority": counts, not seconds. The first lane never runs dry; of the last each record is
// delivered before the others were served more than their weights say.
TEST_F(LanesTest, TheLowestLaneWaitsForNoMoreThanItsShareOfAFlood) {
  publish({0, 0, 200});
  std::uint64_t flood = 0;
  std::uint64_t flooded = 0;
  std::uint64_t since_last = 0;
  std::uint64_t waited_most = 0;
  std::array<std::uint64_t, 3> delivered{};
  const auto top_up = [&] {
    for (; flood < flooded + 1000; flood += 200) publish({160, 40, 0});
  };
  top_up();
  while (delivered[2] < 200) {
    const auto range = take();
    ASSERT_TRUE(range) << "nothing is delivered any more";
    EXPECT_LE(range->count, kRangeRecords);
    EXPECT_EQ(range->from, delivered[range->lane]) << "a lane is in order";
    delivered[range->lane] += range->count;
    if (range->lane == 2) {
      // What was under way when the worker came is before all turns.
      if (delivered[0] != 0) waited_most = std::max(waited_most, since_last);
      since_last = 0;
    } else {
      since_last += range->count;
      ASSERT_LE(since_last, (16 + 4) * kRangeRecords + 2 * kRangeRecords + kUnderWayRecords) << "it starves";
      flooded += range->count;
    }
    finish(*range);
    top_up();
  }
  EXPECT_LE(waited_most, (16 + 4) * kRangeRecords + 2 * kRangeRecords);
  EXPECT_GT(waited_most, 10 * kRangeRecords) << "the flood is served too, by its weight";
  EXPECT_GT(delivered[0], 3 * delivered[1]);
  EXPECT_LT(delivered[0], 5 * delivered[1]);
  std::printf("200 records of the lowest lane: the longest wait was %llu records of the others\n",
              static_cast<unsigned long long>(waited_most));
}

TEST_F(LanesTest, WhatIsUrgentWaitsOnlyForWhatIsUnderWay) {
  for (int i = 0; i < 40; ++i) publish({0, 0, 200});
  std::uint64_t before = 0;
  const auto first = take();
  ASSERT_TRUE(first);
  publish({1, 0, 0});  // behind 8,000 records
  for (auto range = first; range && range->lane != 0; range = take()) {
    before += range->count;
    finish(*range);
  }
  EXPECT_LE(before, kUnderWayRecords + 2 * kRangeRecords);
}

TEST_F(LanesTest, GivesBackWhatAWorkerThatDiedHadOfEachLane) {
  publish({50, 50, 50});
  settle();
  std::map<std::uint32_t, std::set<std::uint64_t>> seen;
  for (auto range = take(); range; range = take()) {
    if (range->from == 0) continue;  // the first range of each lane is never committed
    finish(*range);
    for (std::uint64_t i = 0; i < range->count; ++i) seen[range->lane].insert(range->from + i);
  }
  core_.tick(now_);  // its bytes have been delivered, and are let go
  core_.on_died(1, 0, 100, now_);
  core_.pump(now_);
  worker_ = ready("work");
  credit_ = {1 << 20, 1000};
  ASSERT_EQ(out_.asked_for, std::vector<std::uint64_t>{0});
  core_.on_frame(0, 0, frame_);
  core_.pump(now_);
  for (auto range = take(); range; range = take()) {
    for (std::uint64_t i = 0; i < range->count; ++i)
      EXPECT_TRUE(seen[range->lane].insert(range->from + i).second) << range->lane << "/" << range->from + i;
    finish(*range);
  }
  for (std::uint32_t lane = 0; lane < 3; ++lane) EXPECT_EQ(seen[lane].size(), 50U);
}

}  // namespace
}  // namespace weir::core
