// SPDX-License-Identifier: Apache-2.0
// Splits of a source: the hosts that they are on, and how they move while they are read.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "sdk/wire/map.h"
#include "sdk/wire/split_id.h"
#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

/// A source of files with three workers, and a sink.
Topology files() {
  Topology topology = small_topology("files");
  topology.streams.push_back(small_stream("in"));
  StageSpec read = source_stage();
  read.workers = 3;
  read.local = true;
  StageSpec write = working_stage(1);
  write.kind = PluginKind::kSink;
  topology.stages = {read, write};
  return topology;
}

class SplitTest : public CoreFixture {
 protected:
  SplitTest() : CoreFixture(files()) {}

  Peer ready_on(const std::string& host) {
    wire::WorkerHello said;
    said.stage = "read";
    said.inbox = "inproc://nowhere";
    said.host = host;
    core_.on_client("client", wire::encode(said), now_);
    Peer peer{out_.connected.back()};
    say(peer, MessageType::kReady, {});
    return peer;
  }
  [[nodiscard]] std::vector<std::string> splits_of(const Peer& peer, wire::LeaseKind kind) const {
    std::vector<std::string> found;
    for (const Recorder::Sent& sent : out_.sent) {
      if (sent.to != peer.incarnation || sent.header.type != MessageType::kGrant) continue;
      const auto leases = wire::decode_leases(wire::body_of(sent.message));
      for (const wire::Lease& lease : *leases) {
        if (lease.kind == kind) found.push_back(lease.split);
      }
    }
    return found;
  }
  [[nodiscard]] std::size_t enumerates(const Peer& peer) const {
    return splits_of(peer, wire::LeaseKind::kEnumerate).size();
  }
  [[nodiscard]] std::vector<std::string> reads(const Peer& peer) const {
    return splits_of(peer, wire::LeaseKind::kSplit);
  }
  void finds(Peer& peer, std::string_view name, std::string_view host) {
    wire::Commit found;
    found.splits_found = {wire::SplitId{name, host}.text()};
    found.enumeration_ended = true;
    commit(peer, found);
  }
};

TEST_F(SplitTest, IsLeasedOnlyOnItsHost) {
  Peer far = ready_on("far");
  finds(far, "log", "far");
  ASSERT_EQ(reads(far), std::vector{(wire::SplitId{"log", "far"}.text())});
  EXPECT_EQ(core_.unhealthy().find("is on far"), std::string::npos);
  core_.on_died(0, 0, 0, now_, std::nullopt);
  const Peer near = ready_on("");
  EXPECT_TRUE(reads(near).empty());
  EXPECT_NE(core_.status_text().find("is on far, where no worker of the stage is"), std::string::npos);
  const Peer again = ready_on("far");
  EXPECT_EQ(reads(again).size(), 1U);
  EXPECT_EQ(core_.status_text().find("is on far"), std::string::npos);
}

TEST_F(SplitTest, OfTheBrokersHostGoesToNobodyElse) {
  Peer near = ready_on("");
  finds(near, "log", "");
  EXPECT_EQ(reads(near), std::vector<std::string>{"log"});
  core_.on_died(0, 0, 0, now_, std::nullopt);
  const Peer far = ready_on("far");
  EXPECT_TRUE(reads(far).empty());
  EXPECT_NE(core_.status_text().find("is on the broker's host"), std::string::npos);
}

TEST_F(SplitTest, AreLookedForWhereTheBrokerIs) {
  const Peer first = ready_on("far");
  ASSERT_EQ(enumerates(first), 1U) << "nobody else is there";
  const Peer second = ready_on("far");
  const Peer near = ready_on("");
  core_.on_died(0, 0, 0, now_, std::nullopt);
  core_.tick(now_);
  EXPECT_EQ(enumerates(second), 0U);
  EXPECT_EQ(enumerates(near), 1U);
}

/// A source with one worker, whose splits lie nowhere or on hosts, and a sink.
Topology moving_topology(bool local, Transport transport) {
  Topology topology = files();
  topology.streams[0].transport = transport;
  topology.stages[0].workers = 1;
  topology.stages[0].local = local;
  if (transport == Transport::kPubSub) topology.stages[1].kind = PluginKind::kStage;
  return topology;
}

class SplitMoveTest : public CoreFixture {
 protected:
  explicit SplitMoveTest(bool local = false, Transport transport = Transport::kQueue)
      : CoreFixture(moving_topology(local, transport)) {}

  /// The splits that each worker was granted and has not let go, by its incarnation.
  [[nodiscard]] std::set<std::uint32_t> has(const Peer& peer) const {
    std::set<std::uint32_t> held;
    for (const wire::Lease& lease : told(peer, MessageType::kGrant)) held.insert(lease.shard);
    for (const auto& [incarnation, split] : let_go_) {
      if (incarnation == peer.incarnation) held.erase(split);
    }
    return held;
  }
  [[nodiscard]] std::vector<wire::Lease> told(const Peer& peer, MessageType type) const {
    std::vector<wire::Lease> found;
    for (const Recorder::Sent& sent : out_.sent) {
      if (sent.to != peer.incarnation || sent.header.type != type) continue;
      const auto leases = wire::decode_leases(wire::body_of(sent.message));
      for (const wire::Lease& lease : *leases) {
        if (lease.kind == wire::LeaseKind::kSplit) found.push_back(lease);
      }
    }
    return found;
  }
  [[nodiscard]] std::vector<wire::Lease> asked_back(const Peer& peer) const {
    auto found = told(peer, MessageType::kRevoke);
    std::erase_if(found, [&](const wire::Lease& lease) { return let_go_.contains({peer.incarnation, lease.shard}); });
    return found;
  }
  void let_go(Peer& peer) {
    const auto leases = asked_back(peer);
    for (const wire::Lease& lease : leases) let_go_.insert({peer.incarnation, lease.shard});
    say(peer, MessageType::kReleased, wire::encode_leases(leases));
  }
  void finds(Peer& peer, const std::vector<std::string>& names) {
    wire::Commit found;
    found.splits_found = names;
    found.enumeration_ended = true;
    commit(peer, found);
  }
  void moves(Peer& peer, std::uint32_t split, std::string_view position, bool ended = false) {
    wire::Commit moved;
    const BytesView bytes = as_bytes(position);
    moved.splits = {{split, ended, bytes}};
    commit(peer, moved);
  }
  void scale(std::uint32_t workers) {
    wire::MapWriter request("scale");
    request.put("stage", "read");
    request.put("workers", workers);
    core_.on_client("person", std::move(request).finish(), now_);
    core_.pump(now_);
    settle();
    // Everyone who was waited for at the start is there, or will not come.
    now_ += Monotonic(1'000'000);
    core_.tick(now_);
  }
  [[nodiscard]] bool status_says(const std::string& text) const {
    return core_.status_text().find(text) != std::string::npos;
  }

  std::set<std::pair<Incarnation, std::uint32_t>> let_go_;
};

TEST_F(SplitMoveTest, ANewcomerGetsItsShareOfWhatIsBeingReadOneAtATime) {
  Peer first = ready("read", 0);
  finds(first, {"a", "b", "c", "d", "e"});
  for (std::uint32_t split = 0; split < 5; ++split) moves(first, split, "begun");
  scale(2);
  Peer second = ready("read", 1);
  std::vector<std::uint32_t> order;
  while (!asked_back(first).empty()) {
    ASSERT_EQ(asked_back(first).size(), 1U) << "others go on meanwhile";
    const wire::Lease asked = asked_back(first).front();
    EXPECT_TRUE(status_says("\"shards_moving\":" + std::to_string(2 - order.size()))) << core_.status_text();
    EXPECT_FALSE(has(second).contains(asked.shard)) << "it is read by one at a time";
    moves(first, asked.shard, "last word");
    let_go(first);
    const wire::Lease granted = told(second, MessageType::kGrant).back();
    EXPECT_EQ(granted.shard, asked.shard);
    EXPECT_GT(granted.epoch, asked.epoch);
    EXPECT_EQ(as_text(granted.position), "last word") << "where it was committed";
    order.push_back(asked.shard);
  }
  EXPECT_EQ(order, (std::vector<std::uint32_t>{4, 3}));
  EXPECT_EQ(has(first), (std::set<std::uint32_t>{0, 1, 2})) << "one more is no reason to move";
  EXPECT_TRUE(status_says("\"shards_moving\":0"));
  // Whoever is through with its own gets another's.
  moves(second, 4, "end", true);
  moves(second, 3, "end", true);
  ASSERT_EQ(asked_back(first).size(), 1U);
  let_go(first);
  EXPECT_EQ(has(second), (std::set<std::uint32_t>{2, 3, 4}));
}

TEST_F(SplitMoveTest, WhatNobodyHasBegunMovesFirst) {
  Peer first = ready("read", 0);
  finds(first, {"a", "b", "c"});
  moves(first, 0, "begun");
  moves(first, 2, "begun");
  scale(2);
  ready("read", 1);
  ASSERT_EQ(asked_back(first).size(), 1U);
  EXPECT_EQ(asked_back(first).front().shard, 1U);
}

TEST_F(SplitMoveTest, WhoReadsOnAfterItLetGoIsFenced) {
  Peer first = ready("read", 0);
  finds(first, {"a", "b"});
  moves(first, 1, "begun");
  scale(2);
  ready("read", 1);
  const std::uint32_t split = asked_back(first).front().shard;
  let_go(first);
  moves(first, split, "further");
  ASSERT_FALSE(out_.notices.empty());
  EXPECT_EQ(out_.notices.back().kind, Notice::Kind::kFenced);
  EXPECT_EQ(out_.notices.back().reason, "it moves a split that is not leased to it");
}

TEST_F(SplitMoveTest, GoesOnElsewhereWhenTheGiverOrTheTakerDies) {
  Peer first = ready("read", 0);
  finds(first, {"a", "b"});
  moves(first, 1, "begun");
  scale(2);
  Peer second = ready("read", 1);
  ASSERT_EQ(asked_back(first).size(), 1U);
  moves(first, 0, "some");
  core_.on_died(0, 0, 100, now_, std::nullopt);
  core_.tick(now_);
  EXPECT_EQ(has(second), (std::set<std::uint32_t>{0, 1}));
  for (const wire::Lease& lease : told(second, MessageType::kGrant)) {
    if (lease.shard == 0) {
      EXPECT_EQ(as_text(lease.position), "some");
    }
  }
  Peer third = ready("read", 0);
  ASSERT_EQ(asked_back(second).size(), 1U);
  let_go(second);
  EXPECT_EQ(has(third).size(), 1U);
  core_.on_died(0, 0, 100, now_, std::nullopt);
  core_.tick(now_);
  EXPECT_EQ(told(second, MessageType::kGrant).size(), 3U) << "what the taker had comes back";
}

TEST_F(SplitMoveTest, OfAStartAllWantedWorkersAreExpected) {
  scale(2);
  now_ -= Monotonic(1'000'000);  // the start is a moment ago
  Peer first = ready("read", 0);
  finds(first, {"a", "b", "c", "d"});
  EXPECT_EQ(has(first).size(), 2U);
  const Peer second = ready("read", 1);
  EXPECT_EQ(has(second).size(), 2U);
  EXPECT_TRUE(asked_back(first).empty());
}

class LocalSplitMoveTest : public SplitMoveTest {
 protected:
  LocalSplitMoveTest() : SplitMoveTest(true) {}

  Peer ready_on(const std::string& host, std::uint32_t index) {
    wire::WorkerHello said;
    said.stage = "read";
    said.worker = index;
    said.pid = 100 + index;
    said.inbox = "inproc://nowhere";
    said.host = host;
    core_.on_client("client", wire::encode(said), now_);
    Peer peer{out_.connected.back()};
    say(peer, MessageType::kReady, {});
    return peer;
  }
};

TEST_F(LocalSplitMoveTest, StaysOnItsHost) {
  Peer near = ready_on("", 0);
  finds(near, {"a", "b", "c", "d"});
  scale(3);
  const Peer far = ready_on("far", 1);
  EXPECT_TRUE(asked_back(near).empty()) << "what is here is nowhere else";
  EXPECT_TRUE(status_says("\"shards_moving\":0"));
  const Peer beside = ready_on("", 2);
  for (int i = 0; i < 2; ++i) let_go(near);
  EXPECT_EQ(has(beside).size(), 2U);
  EXPECT_TRUE(has(far).empty());
  EXPECT_TRUE(asked_back(near).empty());
}

class PublishedSplitTest : public SplitMoveTest {
 protected:
  PublishedSplitTest() : SplitMoveTest(false, Transport::kPubSub) {}
};

TEST_F(PublishedSplitTest, StaysWithWhoPublishesItsRecords) {
  Peer first = ready("read", 0);
  finds(first, {"a", "b"});
  scale(2);
  ready("read", 1);
  EXPECT_TRUE(asked_back(first).empty()) << "readers would get its records out of order";
  EXPECT_TRUE(status_says("\"shards_moving\":0"));
}

TEST(SplitId, IsReadAsItIsWritten) {
  for (const wire::SplitId id : {wire::SplitId{"a/b", "host"}, wire::SplitId{"a/b", ""}, wire::SplitId{"", "h"}}) {
    const std::string text = id.text();
    EXPECT_EQ(wire::SplitId::parse(text).name, id.name);
    EXPECT_EQ(wire::SplitId::parse(text).host, id.host);
  }
  EXPECT_EQ((wire::SplitId{"a", ""}.text()), "a") << "as it was before hosts were named";
}

}  // namespace
}  // namespace weir::core
