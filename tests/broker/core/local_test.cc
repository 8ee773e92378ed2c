// SPDX-License-Identifier: Apache-2.0
// Workers that keep state on a disk of their own: what is sent to them, and how far they may write.
#include <gtest/gtest.h>

#include "sdk/wire/changes.h"
#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

constexpr std::uint32_t kWork = 1;
constexpr std::uint32_t kReign = 1;

/// A source, a keyed stream of two shards, and a stage that keeps state on disk.
Topology with_local_state(Durability durability) {
  Topology topology = small_topology("local");
  Stream stream = small_stream("in");
  stream.partition = PartitionBy::kHash;
  stream.shards = 2;
  stream.durability = durability;
  topology.streams.push_back(stream);
  StageSpec work = working_stage(1);
  work.keyed = true;
  work.store = Store::kRocksDb;
  topology.stages = {source_stage(), work};
  return topology;
}

class LocalTest : public CoreFixture {
 protected:
  explicit LocalTest(Durability durability = Durability::kFsync) : CoreFixture(with_local_state(durability)) {
    settle();
    sync();
    work_ = ready("work");
  }

  void say_local(std::vector<wire::LocalState> states) { say(work_, MessageType::kLocal, wire::encode_local(states)); }
  /// The worker has nothing, is told so, and has its lanes.
  void begin() {
    say_local({{0, 0, 0}, {1, 0, 0}});
    finish_restore();
  }
  void finish_restore() {
    RestoreJob job = out_.restores.back();
    for (const std::uint32_t lane : job.lanes)
      core_.on_state(job.incarnation, {kWork, lane, true, {}, job.on_top.contains(lane), job.through});
    job.finished = true;
    core_.on_restored(std::move(job));
    core_.pump(now_);
  }
  /// A transaction that changes state of a lane; the sequence behind it.
  std::uint64_t change(std::uint32_t lane) {
    Bytes changes;
    wire::append_change(changes, {wire::Space::kState, {}, as_bytes("k"), as_bytes("v")});
    wire::Commit commit;
    commit.changes = {{kWork, lane, changes}};
    this->commit(work_, commit);
    return out_.appended.value();
  }
  /// Another process takes the place of the worker, and says what it finds.
  void restart(std::vector<wire::LocalState> states) {
    core_.on_died(kWork, 0, 100, now_, std::nullopt);
    work_ = ready("work");
    say_local(std::move(states));
  }
  [[nodiscard]] std::vector<wire::Totals> durable_told() const {
    std::vector<wire::Totals> told;
    for (const Recorder::Sent& sent : out_.sent) {
      if (sent.to == work_.incarnation && sent.header.type == MessageType::kDurable)
        told.push_back(*wire::decode_totals(wire::body_of(sent.message)));
    }
    return told;
  }

  Peer work_;
};

TEST_F(LocalTest, ReadsNoStateBeforeTheWorkerHasSaidWhatItHas) {
  EXPECT_EQ(out_.count(MessageType::kGrant), 1U);
  EXPECT_TRUE(out_.restores.empty());
  say_local({{0, 0, 0}});
  ASSERT_EQ(out_.restores.size(), 1U);
  EXPECT_EQ(out_.restores.back().lanes, std::vector<std::uint32_t>{0});
  EXPECT_TRUE(out_.restores.back().on_top.empty());
  say_local({{1, 0, 0}});
  EXPECT_EQ(out_.restores.back().lanes, std::vector<std::uint32_t>{1});
  say_local({{1, 0, 0}});
  EXPECT_EQ(out_.restores.size(), 3U) << "as long as it has not come";
  finish_restore();
  say_local({{1, 0, 0}});
  EXPECT_EQ(out_.fenced_why(), "it speaks of state that it has no lease for");
}

TEST_F(LocalTest, SendsOnlyWhatCameBehindTheStateOnTheWorkersDisk) {
  begin();
  const std::uint64_t first = change(0);
  change(0);
  change(1);
  settle();
  sync();
  restart({{0, kReign, first}, {1, 0, 0}});
  const RestoreJob& job = out_.restores.back();
  EXPECT_EQ(job.on_top, std::set<std::uint32_t>{0});
  EXPECT_EQ(job.through, out_.appended.value());
  ASSERT_EQ(job.parts.size(), 1U);
  ASSERT_EQ(job.parts[0].tail.size(), 2U);
  EXPECT_EQ(job.parts[0].tail[0].lane, 0U);
  EXPECT_EQ(job.parts[0].tail[0].sequence.value(), first) << "the first change is there already";
  EXPECT_EQ(job.parts[0].tail[1].lane, 1U);
}

TEST_F(LocalTest, TakesNothingForGoodThatIsNoPartOfTheHistory) {
  begin();
  const std::uint64_t behind = change(0);
  settle();
  sync();
  for (const wire::LocalState& wrong :
       {wire::LocalState{0, kReign + 1, behind}, wire::LocalState{0, kReign, behind + 1},
        wire::LocalState{0, kReign - 1, behind}}) {
    restart({wrong});
    EXPECT_TRUE(out_.restores.back().on_top.empty()) << wrong.reign << " " << wrong.through;
    EXPECT_EQ(out_.restores.back().parts[0].tail.size(), 1U);
  }
  restart({{0, kReign, behind}});
  EXPECT_EQ(out_.restores.back().on_top, std::set<std::uint32_t>{0});
}

TEST_F(LocalTest, TakesWhatIsOlderThanTheKeptChangelogForVoid) {
  begin();
  const std::uint64_t first = change(0);
  const std::uint64_t second = change(0);
  settle();
  sync();
  // A snapshot of everything so far takes the place of the changes.
  Bytes payload = encode_header({EntryType::kSnapshot, {}, kWork, 0});
  const Bytes taken = encode(SnapshotTaken{9, second, 100});
  payload.insert(payload.end(), taken.begin(), taken.end());
  const Sequence at = core_.ledger().next_sequence();
  ASSERT_TRUE(core_.ledger().apply(at, Buffer::of(std::move(payload)), Place{}, false).ok());
  out_.appended = at.plus(1);
  settle();
  sync();
  restart({{0, kReign, first}});
  EXPECT_TRUE(out_.restores.back().on_top.empty());
  restart({{0, kReign, second}});
  EXPECT_EQ(out_.restores.back().on_top, std::set<std::uint32_t>{0});
}

class LaxLocalTest : public LocalTest {
 protected:
  LaxLocalTest() : LocalTest(Durability::kNone) {}
};

TEST_F(LaxLocalTest, SendsNothingThatTheBrokersDiskMayLose) {
  begin();
  change(0);
  const std::size_t restores = out_.restores.size();
  const int syncs = out_.syncs_asked;
  settle();
  restart({{0, 0, 0}});
  EXPECT_EQ(out_.restores.size(), restores);
  EXPECT_EQ(out_.syncs_asked, syncs + 1) << "nobody else asks for it";
  core_.pump(now_);
  EXPECT_EQ(out_.syncs_asked, syncs + 1);
  sync();
  EXPECT_EQ(out_.restores.size(), restores + 1);
}

// Else a worker's disk would lack what the broker, after a power cut, holds again.
TEST_F(LocalTest, SendsNoStateOnTheWordOfAResetThatIsNotOnDisk) {
  begin();
  change(0);
  settle();
  sync();
  const std::size_t restores = out_.restores.size();
  ASSERT_TRUE(core_.replay("person", {kWork, 0, true, {{0, 0}, {0, 0}}}, now_));
  ASSERT_EQ(out_.fenced_why(), "its stage is replayed");
  work_ = ready("work");
  say_local({{0, 0, 0}, {1, 0, 0}});
  settle();
  EXPECT_EQ(out_.restores.size(), restores);
  sync();
  ASSERT_EQ(out_.restores.size(), restores + 1);
  EXPECT_EQ(out_.restores.back().through, out_.appended.value()) << "behind the reset";
}

TEST_F(LaxLocalTest, SaysHowFarTransactionsAreOnDiskAndSeesToIt) {
  begin();
  change(0);
  const std::uint64_t behind = change(1);
  EXPECT_TRUE(durable_told().empty());
  const int syncs = out_.syncs_asked;
  settle();
  core_.tick(now_);
  EXPECT_TRUE(durable_told().empty()) << "settled, and not on disk";
  EXPECT_EQ(out_.syncs_asked, syncs + 1);
  sync();
  ASSERT_EQ(durable_told().size(), 1U);
  EXPECT_EQ(durable_told()[0], (wire::Totals{2, behind}));
}

}  // namespace
}  // namespace weir::core
