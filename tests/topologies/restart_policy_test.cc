// SPDX-License-Identifier: Apache-2.0
#include "topologies/launcher/restart_policy.h"

#include <gtest/gtest.h>

namespace weir::launcher {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Death = RestartPolicy::Death;

TEST(RestartPolicy, GivesUpAfterFiveDeathsByOwnFaultInARow) {
  RestartPolicy policy;
  Monotonic now{0};
  for (int death = 1; death <= 5; ++death) {
    policy.on_start(now);
    now += seconds(1);
    EXPECT_EQ(policy.on_death(now, Death::kOwnFault).give_up, death == 5) << death;
  }
}

TEST(UpgradeDeaths, CountsThoseOfAllWorkersWhateverCameBetween) {
  UpgradeDeaths deaths;
  for (int death = 1; death <= 4; ++death) EXPECT_FALSE(deaths.on_death("new"));
  EXPECT_TRUE(deaths.on_death("new"));
  EXPECT_FALSE(deaths.on_death("another")) << "of others nothing is known";
  for (int death = 1; death <= 3; ++death) EXPECT_FALSE(deaths.on_death("another"));
  deaths.over();
  EXPECT_FALSE(deaths.on_death("another"));
}

TEST(RestartPolicy, ForgivesWhatCameBeforeACommit) {
  RestartPolicy policy;
  for (int death = 1; death <= 20; ++death) {
    policy.on_start(Monotonic(0));
    if (death % 4 == 0) policy.on_commit();
    EXPECT_FALSE(policy.on_death(seconds(1), Death::kOwnFault).give_up) << death;
  }
}

TEST(RestartPolicy, ForgivesWhatCameBeforeALongLife) {
  RestartPolicy policy;
  for (int death = 1; death <= 20; ++death) {
    policy.on_start(Monotonic(0));
    EXPECT_FALSE(policy.on_death(seconds(death % 4 == 0 ? 10 : 1), Death::kOwnFault).give_up) << death;
  }
}

TEST(RestartPolicy, TakesALifeThatHungForNoLongLife) {
  RestartPolicy policy;
  for (int death = 1; death <= 5; ++death) {
    policy.on_start(Monotonic(0));
    EXPECT_EQ(policy.on_death(seconds(60), Death::kHung).give_up, death == 5) << death;
  }
}

TEST(RestartPolicy, NeverGivesUpOnDeathsFromOutside) {
  RestartPolicy policy;
  for (int death = 1; death <= 100; ++death) {
    policy.on_start(Monotonic(0));
    EXPECT_FALSE(policy.on_death(seconds(1), Death::kOutside).give_up) << death;
  }
}

TEST(RestartPolicy, WaitsATenthOfASecondAndTwiceAsLongEachTimeUpToFiveSeconds) {
  RestartPolicy policy;
  for (const int expected : {100, 200, 400, 800, 1600, 3200, 5000, 5000}) {
    policy.on_start(Monotonic(0));
    EXPECT_EQ(policy.on_death(seconds(1), Death::kOutside).delay, milliseconds(expected));
  }
  policy.on_start(Monotonic(0));
  policy.on_commit();
  EXPECT_EQ(policy.on_death(seconds(1), Death::kOutside).delay, milliseconds(100)) << "a commit starts over";
}

TEST(RestartPolicy, LeavesDeathsOfRecordsToTheBrokerAndStartsAgainSoon) {
  RestartPolicy policy;
  for (int death = 1; death <= 50; ++death) {
    policy.on_start(Monotonic(0));
    const RestartPolicy::Verdict verdict = policy.on_death(seconds(1), Death::kOfRecord);
    EXPECT_FALSE(verdict.give_up) << death;
    EXPECT_EQ(verdict.delay, milliseconds(100));
  }
}

TEST(RestartPolicy, GivesUpOnDeathsThatNoRecordExplains) {
  RestartPolicy policy;
  int deaths = 0;
  do {
    policy.on_start(Monotonic(0));
    ++deaths;
  } while (!policy.on_death(seconds(20), Death::kOfRecord, /*retries=*/10).give_up && deaths < 1000);
  EXPECT_EQ(deaths, RestartPolicy::kRecordDeathsMax + 10);
}

}  // namespace
}  // namespace weir::launcher
