// SPDX-License-Identifier: Apache-2.0
// Who goes on while the disk is full.
#include <gtest/gtest.h>

#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

class SpaceTest : public CoreFixture {
 protected:
  SpaceTest() : CoreFixture(small_chain("chain")) {
    source_ = ready("read");
    work_ = ready("work");
    sink_ = ready("write");
  }
  void publish() {
    commit(source_, {}, {frame_of_one()});
    settle();
  }
  /// The stage or the sink is through with one record; the stage makes one of it.
  void work_off(Peer& peer, std::uint64_t offset) {
    const bool is_stage = peer.incarnation == work_.incarnation;
    wire::Commit done;
    done.consumed = {{is_stage ? 0U : 1U, 0, offset, offset + 1}};
    const Bytes made = frame_of_one(1);
    commit(peer, done, is_stage ? std::vector<BytesView>{made} : std::vector<BytesView>{});
    settle();
  }
  void becomes(bool low, bool out) {
    core_.set_space(low, out);
    core_.tick(now_);
    core_.pump(now_);
  }
  [[nodiscard]] std::size_t delivered(const Peer& peer) const {
    return static_cast<std::size_t>(std::count_if(out_.sent.begin(), out_.sent.end(), [&](const Recorder::Sent& sent) {
      return sent.to == peer.incarnation && sent.header.type == MessageType::kDeliver;
    }));
  }

  Peer source_;
  Peer work_;
  Peer sink_;
};

TEST_F(SpaceTest, AStageAddsRecordsOnAFullDiskOnlyWhileItsConsumersHaveNothingToDo) {
  publish();
  ASSERT_EQ(delivered(work_), 1U);
  work_off(work_, 0);
  ASSERT_EQ(delivered(sink_), 1U);
  becomes(true, false);
  publish();
  EXPECT_EQ(delivered(work_), 1U) << "what it made waits for the sink";
  work_off(sink_, 0);
  becomes(true, false);
  EXPECT_EQ(delivered(work_), 2U) << "what it consumes gives room back";
}

TEST_F(SpaceTest, OnlySinksGoOnWhenTheLastRoomIsNearItsEnd) {
  publish();
  work_off(work_, 0);
  becomes(true, true);
  publish();
  work_off(sink_, 0);
  becomes(true, true);
  EXPECT_EQ(delivered(work_), 1U);
  EXPECT_EQ(delivered(sink_), 1U);
  becomes(false, false);
  EXPECT_EQ(delivered(work_), 2U);
}

TEST_F(SpaceTest, ACheckpointThatFoundNoRoomIsTriedAgain) {
  publish();
  work_off(work_, 0);
  work_off(sink_, 0);
  core_.on_written(out_.appended, 2, 4096);  // the journal has gone on to its next segment
  becomes(true, false);
  sync();
  ASSERT_EQ(out_.checkpoints.size(), 1U) << "what is drained is given back, however little it is";
  core_.on_checkpoint({});
  becomes(true, false);
  EXPECT_EQ(out_.checkpoints.size(), 1U) << "not at once";
  now_ += std::chrono::seconds(2);
  becomes(true, false);
  sync();
  EXPECT_EQ(out_.checkpoints.size(), 2U);
}

}  // namespace
}  // namespace weir::core
