// SPDX-License-Identifier: Apache-2.0
// Event time behind a stage without keys, whose shards are leased by ranges.
#include <gtest/gtest.h>

#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

class EventTimeTest : public CoreFixture {
 protected:
  EventTimeTest() : CoreFixture(small_chain("time")) {
    read_ = ready("read");
    wire::Commit found;
    found.splits_found = {"all"};
    found.enumeration_ended = true;
    commit(read_, found);
    settle();
    work_ = ready("work");
    settle();
  }

  /// One record, behind which nothing is earlier than `time`.
  void emit(Timestamp time) {
    wire::Commit commit;
    commit.splits = {{0, false, {}}};
    commit.advanced = {{0, time}};
    const Bytes frame = frame_of_one();
    this->commit(read_, commit, {frame});
    settle();
  }
  void work(std::uint64_t from, std::uint64_t to) {
    wire::Commit commit;
    commit.consumed = {{0, 0, from, to}};
    this->commit(work_, commit);
    settle();
  }
  /// Of the stream that the stage without keys fills.
  Timestamp behind() {
    core_.tick(now_ += std::chrono::milliseconds(20));
    return core_.ledger().stream(1).watermark();
  }

  Peer read_;
  Peer work_;
};

TEST_F(EventTimeTest, IsWhereTheStageHasComeTo) {
  emit(50);
  emit(90);
  EXPECT_EQ(core_.ledger().stream(0).watermark(), 90);
  EXPECT_EQ(behind(), INT64_MIN) << "it has worked on nothing";
  work(0, 1);
  EXPECT_LE(behind(), 50) << "the second record may be of any time from there on";
  work(1, 2);
  EXPECT_EQ(behind(), 90);
  emit(100);
  EXPECT_EQ(behind(), 90) << "what came behind it may be earlier than that";
  work(2, 3);
  EXPECT_EQ(behind(), 100);
}

TEST_F(EventTimeTest, GoesOnWhereTheStageNeverComesToTheEnd) {
  for (int i = 0; i < 20; ++i) emit(10 * (i + 1));
  for (std::uint64_t i = 0; i < 19; ++i) {
    work(i, i + 1);
    (void)behind();
  }
  // The frame that the cursor is known to be at or behind may lag a little, never lead.
  EXPECT_GE(behind(), 150);
  EXPECT_LE(behind(), 190);
}

}  // namespace
}  // namespace weir::core
