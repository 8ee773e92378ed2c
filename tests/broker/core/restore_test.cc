// SPDX-License-Identifier: Apache-2.0
// State goes to a new holder a portion at a time, as it takes it in.
#include <gtest/gtest.h>

#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

/// A source, a keyed stream of one shard, and a stage that keeps state.
Topology with_state() {
  Topology topology = small_topology("state");
  Stream stream = small_stream("in");
  stream.partition = PartitionBy::kHash;
  stream.shards = 1;
  topology.streams.push_back(stream);
  StageSpec work = working_stage(1);
  work.keyed = true;
  topology.stages = {source_stage(), work};
  return topology;
}

class RestoreTest : public CoreFixture {
 protected:
  static constexpr std::uint64_t kCapacity = 1 << 20;  // as ready() grants

  RestoreTest() : CoreFixture(with_state()) { work_ = ready("work"); }

  /// A portion of so many bytes has been read.
  void comes(std::size_t bytes, bool last = false) {
    const RestoreJob read = out_.restores.back();
    const Bytes changes(bytes, std::byte{1});
    core_.on_state(work_.incarnation, {1, 0, last, changes});
    RestoreJob job = read;
    job.finished = last;
    core_.on_restored(std::move(job));
    core_.pump(now_);
  }
  void takes_in(std::uint64_t bytes) {
    taken_in_ += bytes;
    say(work_, MessageType::kCredit, wire::encode_totals({kCapacity + taken_in_, 1000}));
  }

  Peer work_;
  std::uint64_t taken_in_ = 0;
};

TEST_F(RestoreTest, ReadsOnlyAsFarAheadAsTheWorkerHasRoom) {
  ASSERT_EQ(out_.restores.size(), 1U);
  comes(kCapacity);
  EXPECT_EQ(out_.restores.size(), 2U) << "there is room, if not much";
  comes(kCapacity);
  EXPECT_EQ(out_.restores.size(), 2U) << "twice what it can hold is under way";
  takes_in(kCapacity / 2);
  EXPECT_EQ(out_.restores.size(), 2U);
  takes_in(kCapacity / 2);
  EXPECT_EQ(out_.restores.size(), 3U);
  comes(0, true);
  takes_in(kCapacity);
  EXPECT_EQ(out_.restores.size(), 3U);
  // It is the holder now, and gets records.
  Peer source = ready("read");
  commit(source, {}, {frame_of_one()});
  EXPECT_EQ(out_.count(MessageType::kDeliver), 1U);
}

TEST_F(RestoreTest, StopsReadingForAWorkerThatIsGone) {
  comes(2 * kCapacity);
  ASSERT_EQ(out_.restores.size(), 1U);
  core_.on_died(1, 0, 100, now_, std::nullopt);
  core_.pump(now_);
  EXPECT_EQ(out_.restores.size(), 1U);
  work_ = ready("work");
  ASSERT_EQ(out_.restores.size(), 2U);
  EXPECT_EQ(out_.restores.back().incarnation, work_.incarnation);
  EXPECT_EQ(out_.restores.back().reached.part, 0U) << "from the beginning";
}

}  // namespace
}  // namespace weir::core
