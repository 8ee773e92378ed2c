// SPDX-License-Identifier: Apache-2.0
#include "stages/host/local_lanes.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/sim_local_disk.h"

namespace weir::host {
namespace {

using wire::Space;

constexpr std::uint32_t kStage = 3;
constexpr std::uint32_t kLane = 7;
constexpr std::uint32_t kReign = 5;

class LocalLanesTest : public testing::Test {
 protected:
  LocalLanesTest() { restart(); }

  /// Another process, on the same machine.
  void restart() {
    lanes_.emplace([this](std::uint32_t lane) {
      return disk_.open(
          std::to_string(lane), [] { return true; }, [](std::size_t) { return std::size_t{0}; });
    });
  }
  LocalPosition open() {
    const auto state = lanes_->open(kLane);
    EXPECT_TRUE(state.ok());
    return {state->reign, state->through};
  }
  static Bytes change(const std::string& key, std::optional<std::string> value, Space space = Space::kState,
                      const std::string& name = "n") {
    Bytes bytes;
    wire::append_change(bytes,
                        {space, as_bytes(name), as_bytes(key), value ? std::optional(as_bytes(*value)) : std::nullopt});
    return bytes;
  }
  void arrive(const Bytes& changes, bool last, bool on_top, std::uint64_t through = 0) {
    EXPECT_TRUE(lanes_->add({kStage, kLane, last, changes, on_top, through}, kReign).ok());
  }
  void pend(std::uint64_t number, const std::string& key, std::optional<std::string> value) {
    lanes_->pend(number, kStage, kLane, change(key, std::move(value)));
  }
  std::string find(const std::string& key) {
    const auto found = lanes_->find(kLane, kStage, as_bytes("n"), as_bytes(key));
    EXPECT_TRUE(found.ok());
    return found.ok() && *found ? std::string(as_text(**found)) : "(none)";
  }
  std::map<std::string, std::string> all() {
    std::map<std::string, std::string> entries;
    std::optional<std::string> after;
    while (true) {
      const auto next =
          lanes_->next(kLane, kStage, as_bytes("n"), after ? std::optional(as_bytes(*after)) : std::nullopt);
      EXPECT_TRUE(next.ok());
      if (!next.ok() || !*next) return entries;
      after = as_text((*next)->key);
      EXPECT_TRUE(entries.emplace(*after, as_text((*next)->value)).second) << *after << " came twice";
    }
  }

  test::SimLocalDisk disk_;
  std::optional<LocalLanes> lanes_;
};

TEST_F(LocalLanesTest, HasNothingAtFirstAndWhatHasArrivedWithItsLastPart) {
  EXPECT_EQ(open(), LocalPosition{});
  arrive(change("a", "1"), false, false);
  arrive(change("b", "2"), true, false, 40);
  EXPECT_EQ(find("a"), "1");
  EXPECT_EQ(find("c"), "(none)");
  restart();
  EXPECT_EQ(open(), (LocalPosition{kReign, 40}));
  EXPECT_EQ(all(), (std::map<std::string, std::string>{{"a", "1"}, {"b", "2"}}));
}

TEST_F(LocalLanesTest, IsVoidWhereItDiedBeforeTheLastPart) {
  open();
  arrive(change("a", "1"), false, false);
  restart();
  EXPECT_EQ(open(), LocalPosition{});
  arrive(change("b", "2"), true, false, 40);
  EXPECT_EQ(all(), (std::map<std::string, std::string>{{"b", "2"}})) << "what was there is void";
}

TEST_F(LocalLanesTest, DropsWhatIsOldBeforeASnapshotIsLoadedAndKeepsItUnderATail) {
  open();
  arrive(change("old", "1"), true, false, 40);
  restart();
  open();
  arrive(change("more", "2"), true, true, 50);
  EXPECT_EQ(all(), (std::map<std::string, std::string>{{"old", "1"}, {"more", "2"}}));
  restart();
  open();
  arrive(change("new", "3"), true, false, 60);
  EXPECT_EQ(all(), (std::map<std::string, std::string>{{"new", "3"}}));
}

TEST_F(LocalLanesTest, StaysWhereItWasWhereItDiedAmidATail) {
  open();
  arrive(change("a", "1"), true, false, 40);
  restart();
  open();
  arrive(change("a", "2"), false, true);
  restart();
  EXPECT_EQ(open(), (LocalPosition{kReign, 40})) << "the tail behind it is told again";
}

TEST_F(LocalLanesTest, ShowsWhatIsCommittedAndStoresWhatIsDurable) {
  open();
  arrive(change("a", "1"), true, false, 40);
  pend(1, "a", "2");
  pend(1, "b", "1");
  pend(2, "a", "3");
  pend(3, "b", std::nullopt);
  EXPECT_EQ(find("a"), "3");
  EXPECT_EQ(find("b"), "(none)");
  EXPECT_GT(lanes_->pending_bytes(), 0U);
  ASSERT_TRUE(lanes_->on_durable(1, {kReign, 45}).ok());
  EXPECT_EQ(find("a"), "3") << "as before, for the process";
  restart();
  EXPECT_EQ(open(), (LocalPosition{kReign, 45}));
  EXPECT_EQ(all(), (std::map<std::string, std::string>{{"a", "2"}, {"b", "1"}})) << "as of the first transaction";
}

TEST_F(LocalLanesTest, WalksThroughWhatIsStoredAndWhatIsNotInOneOrder) {
  open();
  Bytes changes;
  for (const char* key : {"a", "c", "e", "g"}) {
    const Bytes one = change(key, "stored");
    changes.insert(changes.end(), one.begin(), one.end());
  }
  const Bytes other = change("x", "of another name", Space::kState, "m");
  changes.insert(changes.end(), other.begin(), other.end());
  arrive(changes, true, false, 40);
  pend(1, "b", "new");
  pend(1, "c", std::nullopt);
  pend(1, "e", "changed");
  pend(1, "g", std::nullopt);
  pend(1, "h", std::nullopt);
  const std::map<std::string, std::string> expected{{"a", "stored"}, {"b", "new"}, {"e", "changed"}};
  EXPECT_EQ(all(), expected);
  ASSERT_TRUE(lanes_->on_durable(1, {kReign, 45}).ok());
  EXPECT_EQ(all(), expected);
  EXPECT_EQ(lanes_->pending_bytes(), 0U);
}

TEST_F(LocalLanesTest, KeepsParkedRecordsAndNoDeadLetters) {
  open();
  arrive({}, true, false, 40);
  lanes_->pend(1, kStage, kLane, change("place", "letter", Space::kDeadLetter, ""));
  lanes_->pend(1, kStage, kLane, change("place", "parked", Space::kParked, "turn"));
  ASSERT_TRUE(lanes_->on_durable(1, {kReign, 45}).ok());
  int seen = 0;
  const auto count = [&](const wire::Change& change) {
    EXPECT_EQ(as_text(change.name), "turn");
    EXPECT_EQ(as_text(*change.value), "parked");
    ++seen;
    return Status();
  };
  ASSERT_TRUE(lanes_->visit(kLane, kStage, Space::kParked, count).ok());
  ASSERT_TRUE(lanes_->visit(kLane, kStage, Space::kDeadLetter, count).ok());
  EXPECT_EQ(seen, 1);
}

// It would claim changes that others made while it had not the lane.
TEST_F(LocalLanesTest, StaysWhereItWasUntilWhatHasComeSinceHasArrived) {
  open();
  arrive(change("a", "1"), true, false, 40);
  restart();
  EXPECT_EQ(open(), (LocalPosition{kReign, 40}));
  ASSERT_TRUE(lanes_->on_durable(0, {kReign, 90}).ok());
  restart();
  EXPECT_EQ(open(), (LocalPosition{kReign, 40}));
  ASSERT_TRUE(lanes_->on_durable(0, {kReign, 90}).ok());
  lanes_->drop(kLane);
  restart();
  EXPECT_EQ(open(), (LocalPosition{kReign, 40})) << "nor where it is let go before";
}

TEST_F(LocalLanesTest, MovesALaneOnInWhichNothingHappens) {
  open();
  arrive(change("a", "1"), true, false, 40);
  ASSERT_TRUE(lanes_->on_durable(0, {kReign, 90}).ok());
  pend(1, "a", "2");
  lanes_->drop(kLane);
  EXPECT_EQ(lanes_->pending_bytes(), 0U);
  EXPECT_EQ(open(), (LocalPosition{kReign, 90})) << "and what was not durable is nowhere";
  EXPECT_EQ(find("a"), "1");
}

}  // namespace
}  // namespace weir::host
