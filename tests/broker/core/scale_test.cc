// SPDX-License-Identifier: Apache-2.0
// A stage that gets another number of workers while it runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "sdk/topology/resolved_file.h"
#include "sdk/wire/map.h"
#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

using testing::HasSubstr;

constexpr std::uint32_t kShards = 6;
constexpr std::uint32_t kWork = 1;

/// A source, a stage of two workers that keeps state in six shards, one fused to it, and a sink with one target.
Topology scaled_topology() {
  Topology topology = small_topology("scaled");
  topology.streams = {small_stream("words"), small_stream("steps"), small_stream("counts")};
  topology.streams[0].partition = PartitionBy::kHash;
  topology.streams[0].shards = kShards;
  topology.streams[1].transport = Transport::kFused;
  topology.streams[1].shards = 1;
  topology.streams[2].shards = 1;
  StageSpec work = working_stage(2);
  work.outputs = {{"out", 1}};
  StageSpec tail;
  tail.name = "tail";
  tail.workers = 2;
  tail.inputs = {{"in", 1}};
  tail.outputs = {{"out", 2}};
  tail.host = kWork;
  StageSpec write;
  write.name = "write";
  write.kind = PluginKind::kSink;
  write.inputs = {{"in", 2}};
  write.host = 3;
  topology.stages = {source_stage(), work, tail, write};
  return topology;
}

class ScaleTest : public CoreFixture {
 protected:
  explicit ScaleTest(Topology topology = scaled_topology()) : CoreFixture(std::move(topology)) {}

  wire::MapReader scale(const std::string& stage, std::int64_t workers) {
    wire::MapWriter request("scale");
    request.put("stage", stage);
    request.put("workers", workers);
    out_.replies.clear();
    core_.on_client("person", std::move(request).finish(), now_);
    core_.pump(now_);
    settle();
    EXPECT_EQ(out_.replies.size(), 1U);
    return *wire::MapReader::parse(out_.replies.back());
  }
  std::string refusal(const std::string& stage, std::int64_t workers) {
    const wire::MapReader answer = scale(stage, workers);
    EXPECT_EQ(answer.op(), "refused");
    return answer.text("error");
  }
  /// Everyone who was waited for at the start is there, or will not come.
  void late() {
    now_ += Monotonic(1'000'000);
    core_.tick(now_);
  }
  [[nodiscard]] std::vector<wire::Lease> asked_back(const Peer& peer) const {
    std::vector<wire::Lease> found;
    for (const Recorder::Sent& sent : out_.sent) {
      if (sent.to != peer.incarnation || sent.header.type != MessageType::kRevoke) continue;
      const auto list = wire::decode_leases(wire::body_of(sent.message));
      found.insert(found.end(), list->begin(), list->end());
    }
    return found;
  }
  void let_go(Peer& peer) { say(peer, MessageType::kReleased, wire::encode_leases({asked_back(peer).back()})); }
  [[nodiscard]] std::map<std::uint32_t, std::size_t> shards_by_worker() const {
    std::map<std::uint32_t, std::size_t> found;
    const std::string text = core_.status_text();
    for (std::size_t at = text.find("{\"stage\":\"work\""); at != std::string::npos;
         at = text.find("{\"stage\":\"work\"", at + 1)) {
      const std::size_t number = text.find("\"worker\":", at) + 9;
      const std::size_t shards = text.find("\"shards\":[", at) + 10;
      const std::string list = text.substr(shards, text.find(']', shards) - shards);
      found[static_cast<std::uint32_t>(std::stoul(text.substr(number)))] =
          list.empty() ? 0 : static_cast<std::size_t>(std::count(list.begin(), list.end(), ',')) + 1;
    }
    return found;
  }
  Ledger read_back() {
    Ledger ledger(topology_);
    for (std::uint64_t i = 0; i < out_.payloads.size(); ++i) {
      const Status applied = ledger.apply(Sequence(i), Buffer::of(Bytes(out_.payloads[i])), {1, 4096, 0, 0}, false);
      EXPECT_TRUE(applied.ok()) << applied.error().message;
    }
    return ledger;
  }
};

using Shares = std::map<std::uint32_t, std::size_t>;

TEST_F(ScaleTest, GivesNewcomersTheirShareOneShardAtATime) {
  Peer first = ready("work", 0);
  Peer second = ready("work", 1);
  late();
  ASSERT_EQ(shards_by_worker(), (Shares{{0, 3}, {1, 3}}));
  const wire::MapReader answer = scale("work", 3);
  EXPECT_EQ(answer.op(), "scaled");
  EXPECT_EQ(answer.integer("before", 0), 2);
  ASSERT_EQ(out_.notices.back().kind, Notice::Kind::kScaled);
  EXPECT_EQ(out_.notices.back().workers, 3U);
  ready("work", 2);
  // Nobody is asked for a second one before the first has come to where it goes.
  for (int i = 0; i < 3; ++i) core_.tick(now_ += Monotonic(20'000));
  ASSERT_EQ(asked_back(first).size() + asked_back(second).size(), 1U);
  let_go(asked_back(first).empty() ? second : first);
  core_.tick(now_ += Monotonic(20'000));
  ASSERT_EQ(asked_back(first).size(), 1U);
  ASSERT_EQ(asked_back(second).size(), 1U);
  EXPECT_EQ(shards_by_worker().at(2), 1U);
  let_go(out_.sent.back().to == first.incarnation ? first : second);
  core_.tick(now_ += Monotonic(20'000));
  EXPECT_EQ(shards_by_worker(), (Shares{{0, 2}, {1, 2}, {2, 2}}));
  EXPECT_EQ(asked_back(first).size() + asked_back(second).size(), 2U);
}

TEST_F(ScaleTest, LetsTheHighestNumbersGoOnceTheirShardsHaveGoneOneByOne) {
  Peer first = ready("work", 0);
  Peer second = ready("work", 1);
  late();
  scale("work", 1);
  for (std::size_t gone = 1; gone <= 3; ++gone) {
    core_.tick(now_ += Monotonic(20'000));
    core_.tick(now_ += Monotonic(20'000));
    ASSERT_EQ(asked_back(second).size(), gone);
    EXPECT_EQ(out_.count_to(second.incarnation, MessageType::kDrain), 0U);
    let_go(second);
  }
  EXPECT_EQ(shards_by_worker(), (Shares{{0, kShards}, {1, 0}}));
  EXPECT_EQ(asked_back(first).size(), 0U);
  core_.tick(now_ += Monotonic(20'000));
  EXPECT_EQ(out_.count_to(second.incarnation, MessageType::kDrain), 1U);
  say(second, MessageType::kDrained, {});
  EXPECT_EQ(out_.count_to(second.incarnation, MessageType::kStop), 1U);
  EXPECT_EQ(out_.fenced_why(), "");
  core_.on_died(kWork, 1, 101, now_);
  EXPECT_EQ(core_.restarts(kWork), 0U) << "who goes is not started again";
  // Its place is gone with it.
  wire::WorkerHello said;
  said.stage = "work";
  said.inbox = "inproc://nowhere";
  for (const std::int64_t number : {std::int64_t{1}, std::int64_t{-1}}) {
    said.worker = number;
    out_.replies.clear();
    core_.on_client("late", wire::encode(said), now_);
    EXPECT_EQ(wire::MapReader::parse(out_.replies.back())->text("code"), number == 1 ? "late" : "taken");
  }
}

TEST_F(ScaleTest, KeepsWhoeverIsNeededToHaveTheNumber) {
  ready("work", 0);
  Peer second = ready("work", 1);
  late();
  core_.on_died(kWork, 0, 100, now_);
  scale("work", 1);
  core_.tick(now_ += Monotonic(20'000));
  EXPECT_EQ(shards_by_worker(), (Shares{{1, kShards}})) << "the other one is dead";
  EXPECT_EQ(asked_back(second).size(), 0U);
  ready("work", 0);
  core_.tick(now_ += Monotonic(20'000));
  EXPECT_EQ(asked_back(second).size(), 1U);
}

TEST_F(ScaleTest, RefusesWhatCannotBe) {
  EXPECT_THAT(refusal("wrok", 2), HasSubstr("has no stage \"wrok\""));
  EXPECT_THAT(refusal("tail", 2), HasSubstr("is fused to \"work\" and has no workers of its own: scale \"work\""));
  EXPECT_THAT(refusal("write", 2), HasSubstr("writes to one target"));
  EXPECT_THAT(refusal("work", 7), HasSubstr("has 6 shards to share, so that of 7 workers some would be idle"));
  EXPECT_THAT(refusal("work", 0), HasSubstr("cannot have 0 workers: it keeps one at least"));
  EXPECT_THAT(refusal("work", -4), HasSubstr("cannot have -4 workers"));
  EXPECT_THAT(refusal("read", 1025), HasSubstr("1024 are the most"));
  EXPECT_EQ(scale("read", 1024).op(), "scaled");
  core_.drain(now_);
  EXPECT_THAT(refusal("work", 3), HasSubstr("the topology is stopping"));
}

TEST_F(ScaleTest, SaysItIsDoneWhenItIsOnDisk) {
  wire::MapWriter request("scale");
  request.put("stage", "work");
  request.put("workers", 4);
  core_.on_client("person", std::move(request).finish(), now_);
  EXPECT_TRUE(out_.replies.empty());
  settle();
  ASSERT_EQ(out_.replies.size(), 1U);
  EXPECT_EQ(wire::MapReader::parse(out_.replies[0])->integer("workers", 0), 4);
}

TEST_F(ScaleTest, IsKeptByTheJournalAndByCheckpoints) {
  scale("work", 5);
  Ledger ledger = read_back();
  EXPECT_EQ(ledger.workers(kWork), 5U);
  std::vector<Ledger::Fixup> fixups;
  Bytes checkpoint = ledger.encode_checkpoint(fixups);
  Ledger again(topology_);
  ASSERT_TRUE(again.decode_checkpoint(checkpoint).ok());
  EXPECT_EQ(again.workers(kWork), 5U);
  // One of the version before knew no such numbers, and nothing that later ones have behind them.
  checkpoint.resize(checkpoint.size() - topology_.stages.size() * (sizeof(std::uint32_t) + sizeof(std::uint8_t)) -
                    ledger.units().size() - (sizeof(std::uint64_t) + sizeof(std::uint32_t)) * topology_.streams.size());
  constexpr std::uint32_t kVersion = 6;
  std::memcpy(checkpoint.data(), &kVersion, sizeof(kVersion));
  Ledger older(topology_);
  ASSERT_TRUE(older.decode_checkpoint(checkpoint).ok());
  EXPECT_EQ(older.workers(kWork), 2U);
}

TEST_F(ScaleTest, HoldsUntilTheFileSaysAnotherNumber) {
  scale("work", 5);
  const auto after = [&](const Topology& next) {
    Ledger ledger = read_back();
    Bytes payload = encode_header({EntryType::kTopology, {}, 0, 0});
    ByteWriter(payload).raw(as_bytes(encode_resolved_briefly(next)));
    EXPECT_TRUE(ledger.apply(ledger.next_sequence(), Buffer::of(std::move(payload)), {1, 8192, 0, 0}, false).ok());
    return ledger.workers(kWork);
  };
  Topology next = topology_;
  next.stages[0].workers = 3;
  EXPECT_EQ(after(next), 5U) << "another stage's number";
  next.stages[kWork].workers = next.stages[2].workers = 3;
  EXPECT_EQ(after(next), 3U);
}

TEST_F(ScaleTest, TakesNoEntryThatCannotBe) {
  const auto refused = [&](std::uint32_t stage, const Bytes& body) {
    Ledger ledger = read_back();
    Bytes payload = encode_header({EntryType::kScaled, {}, stage, 0});
    ByteWriter(payload).raw(body);
    const Status status = ledger.apply(ledger.next_sequence(), Buffer::of(std::move(payload)), {1, 8192, 0, 0}, false);
    return status.ok() ? std::string() : status.error().message;
  };
  EXPECT_EQ(refused(kWork, encode(Scaled{3, Scaled::By::kPerson})), "");
  EXPECT_THAT(refused(9, encode(Scaled{3, Scaled::By::kPerson})), HasSubstr("an unknown stage"));
  EXPECT_THAT(refused(2, encode(Scaled{3, Scaled::By::kPerson})), HasSubstr("has none of its own"));
  EXPECT_THAT(refused(kWork, encode(Scaled{0, Scaled::By::kPerson})), HasSubstr("gives a stage 0 workers"));
  EXPECT_THAT(refused(kWork, encode(Scaled{3, static_cast<Scaled::By>(7)})), HasSubstr("malformed"));
}

TEST_F(ScaleTest, TellsWorkersThatComeHowManyThereAreToBe) {
  scale("work", 4);
  out_.replies.clear();
  hello("work", 3);
  const auto told = decode_resolved(wire::MapReader::parse(out_.replies.back())->text("topology"));
  ASSERT_TRUE(told.ok());
  EXPECT_EQ(told->stages[kWork].workers, 4U);
  EXPECT_EQ(told->stages[2].workers, 4U) << "of a chain it is one number";
}

}  // namespace
}  // namespace weir::core
