// SPDX-License-Identifier: Apache-2.0
// Splits of local things and the hosts that they are on.
#include <gtest/gtest.h>

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
