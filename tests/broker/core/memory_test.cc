// SPDX-License-Identifier: Apache-2.0
// What is in the broker's memory, and that it is known how much that is.
#include <gtest/gtest.h>

#include "sdk/wire/map.h"
#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

constexpr std::size_t kMuch = 200'000;

/// Of 1 MiB of memory half is for frames.
Topology in_little_memory() {
  Topology topology = small_chain("memory");
  topology.broker.memory_bytes = 1 << 20;
  return topology;
}

class MemoryTest : public CoreFixture {
 protected:
  MemoryTest() : CoreFixture(in_little_memory()) {
    source_ = ready("read");
    work_ = ready("work");
  }

  void publish(std::size_t bytes) {
    const Bytes frame = frame_of_one(0, 0, Bytes(bytes, std::byte{0xc0}));
    commit(source_, {}, {frame});
    settle();
  }
  void work_off(std::uint64_t offset) {
    wire::Commit done;
    done.consumed = {{0, 0, offset, offset + 1}};
    commit(work_, done);
    settle();
    core_.tick(now_);
  }
  [[nodiscard]] const StreamState& stream() const { return core_.ledger().stream(0); }

  Peer source_;
  Peer work_;
};

TEST_F(MemoryTest, GivesBackWhatAllGroupsAreThroughWithThoughSomebodyLooksOn) {
  wire::MapWriter tail("tail");
  tail.put("stream", "in");
  core_.on_client("person", std::move(tail).finish(), now_);
  for (std::uint64_t offset = 0; offset < 4; ++offset) {
    publish(kMuch);
    work_off(offset);
  }
  ASSERT_EQ(stream().first_frame(), stream().end_frame());
  core_.on_died(1, 0, 100, now_);
  for (int i = 0; i < 8; ++i) publish(1);
  for (std::uint64_t frame = stream().first_frame(); frame < stream().end_frame(); ++frame)
    EXPECT_TRUE(stream().slot(frame).bytes) << "frame " << frame << " was dropped, though there is room";
}

}  // namespace
}  // namespace weir::core
