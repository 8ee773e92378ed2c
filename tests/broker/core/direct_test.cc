// SPDX-License-Identifier: Apache-2.0
// A stream past the broker: who is told of whom, what counts as lost, and when it has ended.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

/// A source, past the broker to two workers of a stage, and a sink behind them.
Topology direct_chain(Transport transport = Transport::kPushPull) {
  Topology topology = small_chain("direct");
  topology.streams[0].transport = transport;
  topology.stages[1].workers = 2;
  return topology;
}

class Direct : public CoreFixture {
 protected:
  Direct() : CoreFixture(direct_chain()) {}
  explicit Direct(Transport transport) : CoreFixture(direct_chain(transport)) {}

  /// The newest list of peers that it was told.
  wire::Peers peers_of(const Peer& peer) {
    wire::Peers newest;
    for (const Recorder::Sent& sent : out_.sent) {
      if (sent.to != peer.incarnation || sent.header.type != MessageType::kPeers) continue;
      newest = *wire::decode_peers(wire::body_of(sent.message));
    }
    return newest;
  }
  void routed(Peer& peer, std::vector<wire::Sent> sent = {}) {
    say(peer, MessageType::kRouted, wire::encode_routed({peers_of(peer).version, std::move(sent)}));
  }
  void emit(Peer& peer, std::uint64_t records) {
    wire::Commit commit;
    commit.emitted = {{0, records, records * 16}};
    this->commit(peer, commit);
    settle();
  }
  void take(Peer& peer, const Peer& from, std::uint64_t records) {
    wire::Commit commit;
    commit.taken = {{0, from.incarnation.value(), records, 0}};
    this->commit(peer, commit);
  }
  void die(const std::string& stage, std::uint32_t index = 0) {
    const auto number = static_cast<std::uint32_t>(topology_.find_stage(stage) - topology_.stages.data());
    core_.on_died(number, index, 100 + index, now_);
    core_.pump(now_);
  }
  void end(Peer& source) {
    wire::Commit commit;
    commit.enumeration_ended = true;
    this->commit(source, commit);
    settle();
  }
  [[nodiscard]] std::uint64_t lost() const { return core_.ledger().stream(0).lost; }
  [[nodiscard]] std::uint64_t on_the_way() const { return core_.ledger().on_the_way(0); }
};

TEST_F(Direct, TellsBothSidesOfEachOther) {
  const Peer source = ready("read");
  EXPECT_EQ(peers_of(source).version, 0U) << "there is nobody yet";
  const Peer work = ready("work");
  const wire::Peers consumers = peers_of(source);
  ASSERT_EQ(consumers.peers.size(), 1U);
  EXPECT_EQ(consumers.peers[0].incarnation, work.incarnation);
  EXPECT_EQ(consumers.peers[0].to, std::vector<std::uint32_t>{0});
  EXPECT_TRUE(consumers.peers[0].from.empty());
  const wire::Peers producers = peers_of(work);
  ASSERT_EQ(producers.peers.size(), 1U);
  EXPECT_EQ(producers.peers[0].incarnation, source.incarnation);
  EXPECT_EQ(producers.peers[0].from, std::vector<std::uint32_t>{0});
  ready("work", 1);
  EXPECT_EQ(peers_of(source).peers.size(), 2U);
  EXPECT_EQ(peers_of(work).version, producers.version) << "nothing has changed for it";
}

TEST_F(Direct, FencesWhoEmitsMoreThanThereCanBe) {
  constexpr std::uint64_t kMost = 1ULL << 60;
  Peer source = ready("read");
  ready("work");
  wire::Commit commit;
  commit.emitted = {{0, kMost, kMost}};
  this->commit(source, commit);
  ASSERT_EQ(out_.fenced_why(), "");
  commit.emitted = {{0, 1, 1}};
  this->commit(source, commit);
  EXPECT_NE(out_.fenced_why().find("more than there can be"), std::string::npos);
}

TEST_F(Direct, CountsEachRecordOnceThroughTheDeathOfAConsumer) {
  Peer source = ready("read");
  Peer first = ready("work");
  Peer second = ready("work", 1);
  routed(source);
  emit(source, 10);
  take(first, source, 2);
  EXPECT_EQ(on_the_way(), 8U);
  die("work");
  EXPECT_EQ(lost(), 0U) << "the source has not said yet what it sent there";
  routed(source, {{0, first.incarnation, 5}});
  EXPECT_EQ(lost(), 3U);
  EXPECT_EQ(on_the_way(), 5U);
  take(second, source, 5);
  EXPECT_EQ(on_the_way(), 0U);
  EXPECT_EQ(core_.stream_probes()[0].lost, 3U);
  EXPECT_EQ(out_.fenced_why(), "");
}

TEST_F(Direct, CountsEachRecordOnceThroughTheDeathOfAProducer) {
  Peer source = ready("read");
  Peer first = ready("work");
  Peer second = ready("work", 1);
  emit(source, 10);
  die("read");
  EXPECT_TRUE(peers_of(first).peers.empty());
  routed(second);
  take(first, source, 4);
  EXPECT_EQ(lost(), 0U);
  routed(first);
  EXPECT_EQ(lost(), 6U);
  EXPECT_EQ(on_the_way(), 0U);
}

TEST_F(Direct, FencesWhoTakesWhatWasNeverSent) {
  Peer source = ready("read");
  Peer work = ready("work");
  emit(source, 3);
  take(work, source, 4);
  EXPECT_EQ(out_.fenced_why(), "it takes records that were never sent");
}

TEST_F(Direct, FencesAFrameToAStreamPastTheBroker) {
  Peer source = ready("read");
  commit(source, {}, {frame_of_one(0)});
  EXPECT_EQ(out_.fenced_why(), "it emits to a stream that is not its output, or twice to one");
}

TEST_F(Direct, EndsTheStreamOnceAllHasArrivedOrIsLost) {
  Peer source = ready("read");
  Peer work = ready("work");
  emit(source, 10);
  end(source);
  EXPECT_TRUE(core_.ledger().stream(0).ended);
  EXPECT_EQ(out_.count(MessageType::kFinish), 0U) << "six are on their way";
  EXPECT_EQ(out_.count_to(source.incarnation, MessageType::kStop), 0U) << "it has yet to send some";
  take(work, source, 9);
  settle();
  EXPECT_EQ(out_.count(MessageType::kFinish), 0U);
  take(work, source, 1);
  settle();
  EXPECT_EQ(out_.count(MessageType::kFinish), 1U);
  EXPECT_EQ(out_.count_to(source.incarnation, MessageType::kStop), 1U);
}

TEST_F(Direct, DrainsConsumersBehindTheirProducers) {
  Peer source = ready("read");
  Peer work = ready("work");
  emit(source, 10);
  core_.drain(now_);
  core_.pump(now_);
  EXPECT_EQ(out_.count_to(source.incarnation, MessageType::kDrain), 1U);
  EXPECT_EQ(out_.count_to(work.incarnation, MessageType::kDrain), 0U);
  say(source, MessageType::kDrained, {});
  take(work, source, 9);
  settle();
  EXPECT_EQ(out_.count_to(work.incarnation, MessageType::kDrain), 0U);
  take(work, source, 1);
  settle();
  EXPECT_EQ(out_.count_to(work.incarnation, MessageType::kDrain), 1U);
  say(work, MessageType::kDrained, {});
  EXPECT_EQ(out_.notices.back().kind, Notice::Kind::kDrained);
}

TEST_F(Direct, AStopWaitsForPeersOnlySoLong) {
  Peer source = ready("read");
  Peer work = ready("work");
  emit(source, 10);
  core_.drain(now_);
  say(source, MessageType::kDrained, {});
  EXPECT_EQ(out_.count_to(work.incarnation, MessageType::kDrain), 0U);
  now_ += std::chrono::seconds(6);
  core_.pump(now_);
  EXPECT_EQ(out_.count_to(work.incarnation, MessageType::kDrain), 1U);
}

TEST_F(Direct, AConsumerLeavesOnceItHasTakenAllThatWasSentToIt) {
  Peer source = ready("read");
  Peer first = ready("work");
  ready("work", 1);
  routed(source);
  emit(source, 10);
  say(first, MessageType::kLeaving, {});
  EXPECT_EQ(peers_of(source).peers.size(), 1U) << "nothing more goes there";
  EXPECT_EQ(out_.count_to(first.incarnation, MessageType::kDrain), 0U);
  routed(source, {{0, first.incarnation, 4}});
  EXPECT_EQ(out_.count_to(first.incarnation, MessageType::kDrain), 0U);
  take(first, source, 4);
  EXPECT_EQ(out_.count_to(first.incarnation, MessageType::kDrain), 1U);
  say(first, MessageType::kDrained, {});
  settle();
  EXPECT_EQ(lost(), 0U);
  EXPECT_EQ(on_the_way(), 6U);
}

TEST_F(Direct, AStartLosesWhatWasOnTheWay) {
  Peer source = ready("read");
  Peer work = ready("work");
  emit(source, 10);
  take(work, source, 4);
  settle();
  Recorder out;
  Core again(topology_, {}, out);
  for (std::uint64_t i = 0; i < out_.payloads.size(); ++i) {
    const Bytes copy = out_.payloads[i];
    ASSERT_TRUE(again.ledger().apply(Sequence(i), Buffer::of(copy), {1, 4096, 0, 0}, false).ok());
  }
  EXPECT_EQ(again.ledger().on_the_way(0), 6U);
  again.start(Reign(2), {1, 1}, now_);
  EXPECT_EQ(again.ledger().on_the_way(0), 0U);
  EXPECT_EQ(again.ledger().stream(0).lost, 6U);
  EXPECT_EQ(again.stream_probes()[0].lost, 6U);
  const auto status = nlohmann::json::parse(again.status_text());
  EXPECT_EQ(status["streams"][0]["transport"], "push_pull");
  EXPECT_EQ(status["streams"][0]["lost_records"], 6);
  // And a checkpoint keeps it.
  std::vector<Ledger::Fixup> fixups;
  const Bytes checkpoint = again.ledger().encode_checkpoint(fixups);
  Ledger read(topology_);
  const Status decoded = read.decode_checkpoint(checkpoint);
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ(read.stream(0).lost, 6U);
}

TEST_F(Direct, RefusesAReplayAndATap) {
  EXPECT_EQ(*core_.why_no_replay(1, 0),
            "stream \"in\" goes from worker to worker and keeps nothing that could be replayed");
}

class Acknowledged : public Direct {
 protected:
  Acknowledged() : Direct(Transport::kSendReceive) {}
};

TEST_F(Acknowledged, CountsWhatIsCommittedAndNothingOnItsWay) {
  Peer source = ready("read");
  Peer work = ready("work");
  take(work, source, 10);  // before the source commits it
  emit(source, 10);
  EXPECT_EQ(out_.fenced_why(), "");
  EXPECT_EQ(on_the_way(), 0U);
  EXPECT_EQ(core_.ledger().stream(0).records_total(), 10U);
  EXPECT_FALSE(nlohmann::json::parse(core_.status_text())["streams"][0].contains("lost_records"));
}

TEST_F(Acknowledged, TellsAtOnceWhatIsAcceptedSinceOthersWaitForIt) {
  Peer source = ready("read");
  Peer work = ready("work");
  now_ += std::chrono::seconds(1);
  core_.pump(now_);
  take(work, source, 1);
  const std::size_t told = out_.count_to(work.incarnation, MessageType::kCommitted);
  take(work, source, 1);
  EXPECT_EQ(out_.count_to(work.incarnation, MessageType::kCommitted), told + 1);
}

TEST_F(Acknowledged, FinishesOnlyWhenNobodyWhoIsGoneCanStillSend) {
  ready("read");
  Peer work = ready("work");
  routed(work);
  die("read");  // what it had sent may lie at the worker
  Peer next = ready("read");
  end(next);
  EXPECT_TRUE(core_.ledger().stream(0).ended);
  EXPECT_EQ(out_.count_to(work.incarnation, MessageType::kFinish), 0U);
  routed(work);
  settle();
  EXPECT_EQ(out_.count_to(work.incarnation, MessageType::kFinish), 1U);
}

class KillingDirect : public Direct {
 protected:
  KillingDirect() : Direct(Transport::kSendReceive) {}

  [[nodiscard]] std::vector<wire::Suspect> suspects_told(const Peer& peer) const {
    std::vector<wire::Suspect> told;
    for (const Recorder::Sent& sent : out_.sent) {
      if (sent.to == peer.incarnation && sent.header.type == MessageType::kSuspect)
        told.push_back(*wire::decode_suspect(wire::body_of(sent.message)));
    }
    return told;
  }
  void killed_by(std::uint64_t offset, const Peer& source, bool alone, std::uint32_t index) {
    core_.on_died(1, index, 100 + index, now_,
                  FatalRecord{0, 0, offset, 0, "signal 11 (SIGSEGV)", source.incarnation, alone});
    core_.pump(now_);
  }
};

TEST_F(KillingDirect, HasARecordTakenAloneThatKilledItsWorkerAndGivenUpWhenItKilledAgain) {
  Peer source = ready("read");
  ready("work");
  Peer second = ready("work", 1);
  killed_by(7, source, false, 0);
  ASSERT_EQ(suspects_told(second).size(), 1U);
  EXPECT_EQ(suspects_told(second)[0].producer, source.incarnation);
  EXPECT_EQ(suspects_told(second)[0].offset, 7U);
  EXPECT_EQ(suspects_told(second)[0].attempts, 0U) << "others were begun, too";
  const Peer third = ready("work");
  ASSERT_EQ(suspects_told(third).size(), 1U) << "who comes later may get it as well";
  killed_by(7, source, true, 1);
  ASSERT_EQ(suspects_told(third).size(), 2U);
  EXPECT_EQ(suspects_told(third)[1].attempts, 1U);
  EXPECT_EQ(suspects_told(third)[1].reason, "it killed its worker while it was processed, last by signal 11 (SIGSEGV)");
  const Peer fourth = ready("work", 1);
  EXPECT_EQ(suspects_told(fourth)[0].attempts, 1U);
  die("read");
  const Peer fifth = ready("work");
  EXPECT_TRUE(suspects_told(fifth).empty()) << "what the dead one sent comes with other numbers";
}

TEST_F(KillingDirect, BelievesNoPageThatNamesWhatCannotBe) {
  Peer source = ready("read");
  Peer work = ready("work");
  Peer second = ready("work", 1);
  killed_by(7, work, false, 0);
  core_.on_died(1, 0, 100, now_, FatalRecord{0, 0, 7, 0, "signal 11 (SIGSEGV)", Incarnation(99), true});
  core_.pump(now_);
  EXPECT_TRUE(suspects_told(second).empty());
  for (std::uint64_t offset = 0; offset < 1000; ++offset) {
    ready("work");
    killed_by(offset, source, false, 0);
  }
  const Peer last = ready("work");
  EXPECT_EQ(suspects_told(last).size(), 256U) << "what is kept is bounded";
  EXPECT_EQ(suspects_told(last).back().offset, 999U);
}

TEST_F(Direct, LaysNothingToARecordThatIsLostWithItsWorker) {
  Peer source = ready("read");
  ready("work");
  Peer second = ready("work", 1);
  core_.on_died(1, 0, 100, now_, FatalRecord{0, 0, 7, 0, "signal 11 (SIGSEGV)", source.incarnation, true});
  core_.pump(now_);
  EXPECT_EQ(out_.count_to(second.incarnation, MessageType::kSuspect), 0U);
}

}  // namespace
}  // namespace weir::core
