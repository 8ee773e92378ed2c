// SPDX-License-Identifier: Apache-2.0
// A number of workers that follows the load, on a clock that the tests turn.
#include "broker/core/load_follower.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

using testing::HasSubstr;

/// A stage whose workers do so many records a second each, and get so many.
class LoadFollowerTest : public testing::Test {
 protected:
  static constexpr double kPerWorker = 1000;

  /// The numbers that were wanted one after the other while `rate` records came a second.
  std::vector<std::uint32_t> run(double rate, int seconds) {
    std::vector<std::uint32_t> wanted;
    for (int half = 0; half < 2 * seconds; ++half) {
      now_ += LoadFollower::kLookEvery;
      const double can = kPerWorker * workers_ / 2;
      const double todo = backlog_ + rate / 2;
      const double done = std::min(can, todo);
      backlog_ = todo - done;
      EXPECT_TRUE(follower_.due(now_));
      const auto decision =
          follower_.look(now_, LoadFollower::Sight{workers_, done / can, static_cast<std::uint64_t>(backlog_)});
      if (!decision) continue;
      workers_ = decision->workers;
      wanted.push_back(workers_);
      why_ = decision->why;
      follower_.on_wanted(decision->why);
    }
    return wanted;
  }

  LoadFollower follower_{1, 8};
  Monotonic now_{100'000'000};
  std::uint32_t workers_ = 1;
  double backlog_ = 0;
  std::string why_;
};

using Numbers = std::vector<std::uint32_t>;

TEST_F(LoadFollowerTest, WantsMoreUntilTheBacklogFallsAndFewerWhenThatIsEnough) {
  EXPECT_EQ(run(500, 60), Numbers());
  EXPECT_EQ(run(4500, 60), (Numbers{2, 3, 4, 6}));
  EXPECT_THAT(why_, HasSubstr("4 workers are 100 % busy, and "));
  EXPECT_EQ(run(4500, 600), Numbers()) << "it stays where it is";
  EXPECT_EQ(run(900, 60), (Numbers{5, 4, 3, 2})) << "one at a time";
  EXPECT_EQ(run(900, 600), Numbers()) << "one alone would be too busy";
  EXPECT_EQ(run(0, 60), Numbers{1});
}

TEST_F(LoadFollowerTest, NeverGoesBeyondItsBounds) {
  EXPECT_EQ(run(100'000, 60).back(), 8U);
  backlog_ = 0;
  EXPECT_EQ(run(0, 600).back(), 1U);
  follower_ = LoadFollower(3, 3);
  workers_ = 3;
  EXPECT_EQ(run(100'000, 60), Numbers());
  EXPECT_EQ(run(0, 60), Numbers());
}

TEST_F(LoadFollowerTest, IsNotImpressedByWhatIsShort) {
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(run(5000, 1), Numbers());
    backlog_ = 0;
    EXPECT_EQ(run(600, 1), Numbers());
  }
  workers_ = 4;
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(run(100, 9), Numbers());
    EXPECT_EQ(run(3000, 1), Numbers());
  }
}

TEST_F(LoadFollowerTest, WorksOffABurstThatItIsOnTopOf) {
  workers_ = 4;
  backlog_ = 6000;
  EXPECT_EQ(run(2000, 9), Numbers()) << "busy, but what waits becomes less";
}

TEST_F(LoadFollowerTest, BeginsAnewWhereWorkersComeOrGo) {
  EXPECT_EQ(run(5000, 1), Numbers());
  now_ += LoadFollower::kLookEvery;
  EXPECT_FALSE(follower_.look(now_, std::nullopt));
  EXPECT_EQ(run(5000, 1), Numbers());
  EXPECT_EQ(run(5000, 2), Numbers{2});
}

Topology following() {
  Topology topology = small_topology("following");
  topology.streams = {small_stream("in")};
  topology.streams[0].shards = 1;
  StageSpec work = working_stage(1);
  work.workers_max = 3;
  topology.stages = {source_stage(), work};
  return topology;
}

class FollowingTest : public CoreFixture {
 protected:
  FollowingTest() : CoreFixture(following()) {}
  void beat(Peer& peer, float busy) {
    wire::Measured measured;
    measured.busy_ratio = busy;
    const wire::MessageHeader header{MessageType::kBeat, wire::kWireVersion, 0, peer.incarnation.value(), peer.sent};
    core_.on_message(Buffer::of(wire::message(header, wire::encode_measured(measured))), now_);
  }
};

TEST_F(FollowingTest, EntersWhatItWantsInTheJournalAndTellsWhy) {
  Peer source = ready("read");
  Peer first = ready("work");
  commit(source, {}, {frame_of_one()});
  settle();
  for (int i = 0; i < 6; ++i) {
    beat(first, 0.95F);
    beat(source, 0);
    core_.tick(now_ += LoadFollower::kLookEvery);
  }
  ASSERT_EQ(out_.notices.back().kind, Notice::Kind::kScaled);
  EXPECT_EQ(out_.notices.back().workers, 2U);
  EXPECT_EQ(out_.notices.back().reason, "1 worker is 95 % busy, and 1 record waits");
  EXPECT_EQ(core_.ledger().workers(1), 2U);
  const std::string status = core_.status_text();
  EXPECT_THAT(status, HasSubstr("\"workers_min\":1,\"workers_max\":3,\"workers_why\":\"1 worker is 95 % busy"));
  // Until the second one runs nothing that is measured counts.
  for (int i = 0; i < 20; ++i) {
    beat(first, 0.95F);
    beat(source, 0);
    core_.tick(now_ += LoadFollower::kLookEvery);
  }
  EXPECT_EQ(core_.ledger().workers(1), 2U);
}

TEST_F(FollowingTest, TakesAPersonsWordWithinItsBounds) {
  const auto scaled = [&](std::int64_t workers) {
    wire::MapWriter request("scale");
    request.put("stage", "work");
    request.put("workers", workers);
    out_.replies.clear();
    core_.on_client("person", std::move(request).finish(), now_);
    settle();
    return *wire::MapReader::parse(out_.replies.back());
  };
  EXPECT_EQ(scaled(3).op(), "scaled");
  EXPECT_THAT(scaled(4).text("error"), HasSubstr("follows its load with 1 to 3 workers: it cannot have 4"));
}

}  // namespace
}  // namespace weir::core
