// SPDX-License-Identifier: Apache-2.0
// Who gets the next batch of an unkeyed stream, under hand-made events.
#include <gtest/gtest.h>

#include <array>
#include <deque>

#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

using std::chrono::milliseconds;

/// A source, an unkeyed stream, and a stage of two workers that reads it.
Topology unkeyed(Dispatch dispatch) {
  Topology topology = small_topology("unkeyed");
  for (const char* name : {"in", "out"}) {
    Stream stream = small_stream(name);
    stream.shards = 1;
    stream.dispatch = dispatch;
    stream.backlog_bytes_max = 16 << 20;
    topology.streams.push_back(std::move(stream));
  }
  StageSpec work = working_stage(2);
  work.outputs = {{"out", 1}};
  topology.stages = {source_stage(), work};
  return topology;
}

/// Two workers that take a time of their own for every record, and a source that knows its pace.
class Workshop : public CoreFixture {
 public:
  explicit Workshop(Dispatch dispatch) : CoreFixture(unkeyed(dispatch)) {
    source_ = ready("read");
    for (std::uint32_t i = 0; i < workers_.size(); ++i) workers_[i].peer = ready("work", i);
  }
  void TestBody() override {}

  void takes(std::size_t worker, Monotonic time) { workers_[worker].takes = time; }

  /// So many records come, one `every` so long; how many of them each worker got.
  std::array<int, 2> run(int records, Monotonic every) {
    for (Worker& worker : workers_) worker.got = 0;
    for (int i = 0; i < records; ++i) {
      const Monotonic next = now_ + every;
      publish();
      while (work_until(next)) {
      }
      now_ = next;
    }
    return {workers_[0].got, workers_[1].got};
  }

 private:
  struct Worker {
    Peer peer;
    Monotonic takes{1};
    Monotonic idle_since{0};
    std::deque<wire::Totals> inbox;
    wire::Totals done{1 << 20, 1000};
    int got = 0;
  };

  void publish() {
    const Bytes frame = frame_of_one();
    commit(source_, {}, {BytesView(frame)});
    take_deliveries();
  }
  void take_deliveries() {
    for (; taken_ < out_.sent.size(); ++taken_) {
      const Recorder::Sent& sent = out_.sent[taken_];
      if (sent.header.type != MessageType::kDeliver) continue;
      for (Worker& worker : workers_) {
        if (worker.peer.incarnation != sent.to) continue;
        const auto delivery = wire::decode_delivery(wire::body_of(sent.message));
        for (const wire::DeliveryHeader& batch : delivery->batches) {
          if (worker.inbox.empty()) worker.idle_since = now_;
          worker.inbox.push_back({batch.bytes, batch.count});
          ++worker.got;
        }
      }
    }
  }
  /// The next worker to be done with its record by then gives its credit back; false: none will be.
  bool work_until(Monotonic then) {
    Worker* first = nullptr;
    for (Worker& worker : workers_) {
      if (worker.inbox.empty() || worker.idle_since + worker.takes > then) continue;
      if (first == nullptr || worker.idle_since + worker.takes < first->idle_since + first->takes) first = &worker;
    }
    if (first == nullptr) return false;
    now_ = std::max(now_, first->idle_since + first->takes);
    first->idle_since = now_;
    first->done.first += first->inbox.front().first;
    first->done.second += first->inbox.front().second;
    first->inbox.pop_front();
    say(first->peer, MessageType::kCredit, wire::encode_totals(first->done));
    take_deliveries();
    return true;
  }

  Peer source_;
  std::array<Worker, 2> workers_;
  std::size_t taken_ = 0;
};

TEST(Dispatch, GivesTheSlowerWorkerFewBatchesAlsoWhenNobodyIsLoaded) {
  for (const std::size_t slow : {0U, 1U}) {
    Workshop workshop(Dispatch::kLeastLoaded);
    workshop.takes(slow, milliseconds(20));
    workshop.takes(1 - slow, milliseconds(2));
    for (const milliseconds every : {milliseconds(1), milliseconds(3), milliseconds(10), milliseconds(100)}) {
      const auto got = workshop.run(2000, every);
      EXPECT_EQ(got[0] + got[1], 2000);
      EXPECT_LT(got[slow], 500) << "worker " << slow << ", one record in " << every.count() << " ms";
      EXPECT_GT(got[slow], 0);
    }
  }
}

TEST(Dispatch, FindsOutThatAWorkerIsFasterNow) {
  Workshop workshop(Dispatch::kLeastLoaded);
  workshop.takes(0, milliseconds(20));
  workshop.takes(1, milliseconds(2));
  workshop.run(1000, milliseconds(10));
  workshop.takes(0, milliseconds(1));
  workshop.takes(1, milliseconds(10));
  const auto got = workshop.run(2000, milliseconds(10));
  EXPECT_LT(got[1], 500);
}

TEST(Dispatch, GivesEachWorkerItsTurnUnderRoundRobinHoweverSlowItIs) {
  Workshop workshop(Dispatch::kRoundRobin);
  workshop.takes(0, milliseconds(20));
  workshop.takes(1, milliseconds(2));
  const auto got = workshop.run(1000, milliseconds(3));
  EXPECT_EQ(got[0], got[1]);
}

}  // namespace
}  // namespace weir::core
