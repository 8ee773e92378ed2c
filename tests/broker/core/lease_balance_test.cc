// SPDX-License-Identifier: Apache-2.0
#include "broker/core/lease_balance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "broker/core/lane_loads.h"

namespace weir::core {
namespace {

using Lane = LeaseBalance::Lane;
using Loads = std::vector<double>;

/// Lanes of these weights, dealt out in turn, as leases are at first.
std::vector<Lane> dealt(const Loads& weights, std::uint32_t holders) {
  std::vector<Lane> lanes;
  for (const double weight : weights) lanes.push_back({static_cast<std::uint32_t>(lanes.size() % holders), weight});
  return lanes;
}

Loads loads_of(const std::vector<Lane>& lanes, std::uint32_t holders) {
  Loads loads(holders);
  for (const Lane& lane : lanes) loads[*lane.holder] += lane.weight;
  return loads;
}

/// Moves until none is worth it; how many there were.
std::uint32_t settle(LeaseBalance& balance) {
  std::uint32_t moves = 0;
  for (auto move = balance.next(); move; move = balance.next(), ++moves) {
    EXPECT_LT(moves, 10'000U) << "it goes to and fro";
    if (moves == 10'000) break;
    balance.apply(*move);
  }
  return moves;
}

double most_of(const LeaseBalance& balance, std::uint32_t holders) {
  const Loads loads = loads_of(balance.lanes(), holders);
  return *std::max_element(loads.begin(), loads.end());
}

TEST(LeaseBalance, WithEqualWeightsGivesEachAsManyAsAnyOther) {
  for (std::uint32_t holders = 1; holders <= 7; ++holders) {
    std::vector<Lane> lanes(20, Lane{0});
    LeaseBalance balance(lanes, holders, holders);
    const std::uint32_t announced = balance.moves_left();
    EXPECT_EQ(settle(balance), announced);
    const Loads loads = loads_of(balance.lanes(), holders);
    const auto [least, most] = std::minmax_element(loads.begin(), loads.end());
    EXPECT_LE(*most - *least, 1.0) << holders;
    EXPECT_EQ(std::accumulate(loads.begin(), loads.end(), 0.0), 20.0);
  }
}

TEST(LeaseBalance, MovesNothingThatIsDealtOutFairly) {
  EXPECT_FALSE(LeaseBalance(dealt(Loads(10, 1.0), 4), 4, 4).next());
  EXPECT_FALSE(LeaseBalance({}, 3, 3).next());
  EXPECT_FALSE(LeaseBalance({Lane{}, Lane{}}, 0, 0).next());
}

TEST(LeaseBalance, WhoGoesGivesAllItHasToThoseWithLeast) {
  LeaseBalance balance({Lane{0}, Lane{2}, Lane{2}, Lane{1, 1.0, false}, Lane{1}, Lane{2, 1.0, false}}, 2, 3);
  EXPECT_EQ(settle(balance), 2U);
  EXPECT_EQ(*balance.lanes()[1].holder, 0U);
  EXPECT_EQ(*balance.lanes()[2].holder, 0U);
  EXPECT_EQ(*balance.lanes()[5].holder, 2U) << "that one cannot be moved now";
}

TEST(LeaseBalance, AWorkerWithAHotShardKeepsFewer) {
  LeaseBalance balance(dealt({4, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5}, 2), 2, 2);
  settle(balance);
  EXPECT_LE(most_of(balance, 2), 4.1);
  EXPECT_EQ(std::count_if(balance.lanes().begin(), balance.lanes().end(),
                          [&](const Lane& lane) { return lane.holder == balance.lanes()[0].holder; }),
            1);
}

TEST(LeaseBalance, OthersAreBalancedWhereOneLaneAloneIsMoreThanAShare) {
  // The first has one lane of 10, which nothing makes lighter; the second has all the rest, the third nothing.
  std::vector<Lane> lanes{{0, 10}};
  lanes.resize(7, Lane{1});
  LeaseBalance balance(lanes, 3, 3);
  settle(balance);
  EXPECT_EQ(loads_of(balance.lanes(), 3), (Loads{10, 3, 3}));
}

// Zipf's law over a thousand keys, as users' keys are spread: the busiest worker has about what it must have at least.
TEST(LeaseBalance, ComesCloseToTheBestWhereKeysAreSkewed) {
  for (const double skew : {1.0, 1.5, 2.0}) {
    std::mt19937_64 random(7);
    for (int round = 0; round < 50; ++round) {
      Loads weights(32);
      for (int key = 1; key <= 1000; ++key) weights[random() % weights.size()] += 1 / std::pow(key, skew);
      const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
      for (double& weight : weights) weight *= static_cast<double>(weights.size()) / sum;
      const double hottest = *std::max_element(weights.begin(), weights.end());
      LeaseBalance balance(dealt(weights, 4), 4, 4);
      const double before = most_of(balance, 4);
      EXPECT_LE(settle(balance), weights.size());
      const double after = most_of(balance, 4);
      EXPECT_LE(after, before);
      // Nobody can do with less than the hottest shard, or than a fourth.
      EXPECT_LE(after, 1.3 * std::max(hottest, 8.0)) << "skew " << skew << ", round " << round;
    }
  }
}

TEST(LeaseBalance, AMoveIsNotTakenBackForWhatIsMeasuredALittleLater) {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> weight(0.1, 3.0);
  std::uniform_real_distribution<double> noise(0.95, 1.05);
  for (int round = 0; round < 500; ++round) {
    Loads weights(6);
    for (double& each : weights) each = weight(random);
    LeaseBalance balance(dealt(weights, 2), 2, 2);
    const auto move = balance.next();
    if (!move) continue;
    balance.apply(*move);
    std::vector<Lane> later = balance.lanes();
    for (Lane& lane : later) lane.weight *= noise(random);
    const auto back = LeaseBalance(later, 2, 2).next();
    EXPECT_FALSE(back && back->lane == move->lane) << "round " << round;
  }
}

TEST(LaneLoads, WeighsLanesByWhatWasWorkedOffOfThemLately) {
  LaneLoads loads(1000);
  EXPECT_EQ(loads.weight(2), 1.0) << "nothing is known";
  std::vector<std::uint64_t> total(4);
  Monotonic now{0};
  const auto second = [&](const std::vector<std::uint64_t>& records) {
    for (std::size_t lane = 0; lane < total.size(); ++lane) total[lane] += records[lane];
    EXPECT_TRUE(loads.due(now += LaneLoads::kLookEvery));
    loads.look(now, total);
  };
  for (int i = 0; i < 30; ++i) second({700, 100, 100, 100});
  EXPECT_EQ(loads.weight(0), 1.0) << "hardly fewer a second than counts";
  for (int i = 0; i < 30; ++i) second({7000, 1000, 1000, 1000});
  EXPECT_NEAR(loads.weight(0), 0.1 + 0.9 * 2.8, 0.01);
  EXPECT_NEAR(loads.weight(1), 0.1 + 0.9 * 0.4, 0.01);
  for (int i = 0; i < 30; ++i) second({1000, 1000, 7000, 1000});
  EXPECT_NEAR(loads.weight(0), 0.46, 0.01) << "what was hot once is forgotten";
  EXPECT_NEAR(loads.weight(2), 2.62, 0.01);
  total[2] = 0;  // replayed from its start
  second({1000, 1000, 0, 1000});
  EXPECT_LT(loads.weight(2), 2.62);
  EXPECT_FALSE(loads.due(now + LaneLoads::kLookEvery / 2));
  for (int i = 0; i < 60; ++i) second({0, 0, 0, 0});
  EXPECT_EQ(loads.weight(0), 1.0) << "nothing comes any more";
}

}  // namespace
}  // namespace weir::core
