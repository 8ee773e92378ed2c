// SPDX-License-Identifier: Apache-2.0
#include "stages/host/watchdog.h"

#include <gtest/gtest.h>

#include <atomic>

namespace weir::host {
namespace {

using namespace std::chrono_literals;

class WatchdogTest : public testing::Test {
 protected:
  static Topology two_stages() {
    Topology topology;
    topology.stages.resize(2);
    topology.stages[0].name = "quick";
    topology.stages[0].deadline = 50ms;
    topology.stages[1].name = "patient";
    topology.stages[1].deadline = 1h;
    return topology;
  }
  /// Waits until the watchdog has bitten, or so long.
  bool bites_within(Monotonic time) {
    const Monotonic deadline = monotonic_now() + time;
    while (bites_ == 0 && monotonic_now() < deadline) std::this_thread::yield();
    return bites_ != 0;
  }

  const Topology topology_ = two_stages();
  AtWork work_;
  std::atomic<int> bites_{0};
  std::string sentence_;  ///< written before bites_ goes up
  Watchdog watchdog_{topology_, {0, 1}, work_, [this](const std::string& sentence) {
                       if (bites_ == 0) sentence_ = sentence;
                       ++bites_;
                     }};
};

TEST_F(WatchdogTest, BitesWhatTakesLongerThanTheDeadlineOfItsStage) {
  const Monotonic start = monotonic_now();
  const auto turn = work_.begin(wire::Doing::kFinish);
  work_.enter(0, nullptr);
  ASSERT_TRUE(bites_within(30s));
  EXPECT_GE(monotonic_now() - start, Monotonic(50ms));
  EXPECT_EQ(sentence_, "stage quick is in finish for longer than its deadline of 50 ms");
}

TEST_F(WatchdogTest, LeavesInPeaceWhoComesFromRecordToRecord) {
  weir_context context{};
  const auto turn = work_.process({});
  work_.enter(0, &context);
  const Monotonic deadline = monotonic_now() + 300ms;
  while (monotonic_now() < deadline) __atomic_add_fetch(&context.record, 1, __ATOMIC_RELAXED);
  EXPECT_EQ(bites_, 0);
}

TEST_F(WatchdogTest, LooksAtTheStageThatIsAtWorkAndAtNothingBetweenCalls) {
  {
    const auto turn = work_.begin(wire::Doing::kRead);
    work_.enter(1, nullptr);
    EXPECT_FALSE(bites_within(200ms));
  }
  work_.enter(0, nullptr);
  EXPECT_FALSE(bites_within(200ms));
}

TEST_F(WatchdogTest, GivesTenSecondsAtLeastToWhatNoRecordIsAbout) {
  StageSpec stage;
  stage.deadline = 50ms;
  EXPECT_EQ(Watchdog::limit(stage, wire::Doing::kNothing), std::nullopt);
  for (const auto doing : {wire::Doing::kProcess, wire::Doing::kRequeued, wire::Doing::kWatermark, wire::Doing::kFinish,
                           wire::Doing::kRead})
    EXPECT_EQ(Watchdog::limit(stage, doing), 50ms) << wire::to_string(doing);
  const auto calls = {wire::Doing::kCreate, wire::Doing::kRestore, wire::Doing::kEnumerate, wire::Doing::kFlush,
                      wire::Doing::kOpen,   wire::Doing::kClose,   wire::Doing::kDurable,   wire::Doing::kDestroy};
  for (const auto doing : calls) EXPECT_EQ(Watchdog::limit(stage, doing), 10s) << wire::to_string(doing);
  stage.deadline = 1h;
  for (const auto doing : calls) EXPECT_EQ(Watchdog::limit(stage, doing), 1h) << wire::to_string(doing);
}

}  // namespace
}  // namespace weir::host
