// SPDX-License-Identifier: Apache-2.0
// A stream that every worker of its stages reads: whom records are meant for, what counts as lost, and when it has
// ended.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sdk/topology/resolved_file.h"
#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

/// A source, published to two workers of one stage and one of another, and sinks behind them.
Topology published() {
  Topology topology = small_chain("published");
  topology.streams[0].transport = Transport::kPubSub;
  topology.stages[1].workers = 2;
  StageSpec other = topology.stages[1];
  other.name = "other";
  other.workers = 1;
  other.host = 3;
  topology.stages.push_back(other);
  return topology;
}

class Published : public CoreFixture {
 protected:
  Published() : CoreFixture(published()) {}

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
  void emit(Peer& peer, std::uint64_t records, std::uint32_t readers) {
    wire::Commit commit;
    commit.emitted = {{0, records, records * 16}};
    commit.published = {{0, readers}};
    this->commit(peer, commit);
    settle();
  }
  void take(Peer& peer, const Peer& from, std::uint64_t records, std::uint64_t missing = 0) {
    wire::Commit commit;
    commit.taken = {{0, from.incarnation.value(), records, missing}};
    this->commit(peer, commit);
    settle();
  }
  void die(const std::string& stage, std::uint32_t index = 0) {
    const auto number = static_cast<std::uint32_t>(topology_.find_stage(stage) - topology_.stages.data());
    core_.on_died(number, index, 100 + index, now_);
    core_.pump(now_);
  }
  void all_ready() {
    source_ = ready("read");
    first_ = ready("work");
    second_ = ready("work", 1);
    third_ = ready("other");
    for (Peer* peer : {&source_, &first_, &second_, &third_}) routed(*peer);
  }
  [[nodiscard]] std::uint64_t lost() const { return core_.ledger().stream(0).lost; }
  [[nodiscard]] std::uint64_t on_the_way() const { return core_.ledger().on_the_way(0); }
  [[nodiscard]] std::uint64_t deliveries() const { return core_.ledger().stream(0).next_offset(0); }

  Peer source_;
  Peer first_;
  Peer second_;
  Peer third_;
};

TEST_F(Published, TellsWhoPublishesOfItsReadersOnceAllOfThemAreThere) {
  source_ = ready("read");
  first_ = ready("work");
  second_ = ready("work", 1);
  EXPECT_EQ(peers_of(source_).version, 0U) << "one is missing";
  EXPECT_EQ(peers_of(first_).peers.size(), 1U) << "the readers may give credit meanwhile";
  third_ = ready("other");
  EXPECT_EQ(peers_of(source_).peers.size(), 3U);
}

TEST_F(Published, DoesNotWaitForeverForThemAll) {
  source_ = ready("read");
  first_ = ready("work");
  for (int second = 0; second < 11; ++second) {
    now_ += std::chrono::seconds(1);
    say(source_, MessageType::kPulse, {});
    --source_.sent;
    say(first_, MessageType::kPulse, {});
    --first_.sent;
  }
  EXPECT_EQ(peers_of(source_).peers.size(), 1U);
}

TEST_F(Published, CountsEachRecordForEachReader) {
  all_ready();
  emit(source_, 10, 3);
  EXPECT_EQ(core_.ledger().stream(0).records_total(), 10U);
  EXPECT_EQ(deliveries(), 30U);
  take(first_, source_, 10);
  take(second_, source_, 9, 1);
  EXPECT_EQ(on_the_way(), 10U);
  EXPECT_EQ(lost(), 1U);
  const auto stream = nlohmann::json::parse(core_.status_text())["streams"][0];
  EXPECT_EQ(stream["transport"], "pub_sub");
  EXPECT_EQ(stream["records"], 10);
  EXPECT_EQ(stream["deliveries"], 30);
  EXPECT_EQ(stream["lost_records"], 1);
  EXPECT_EQ(stream["backlog_records"], 10);
  EXPECT_EQ(core_.stream_probes()[0].deliveries, 30U);
  EXPECT_EQ(core_.stream_probes()[0].lost, 1U);
  EXPECT_EQ(out_.fenced_why(), "");
}

TEST_F(Published, FencesWhoTakesWhatIsMeantForAnother) {
  all_ready();
  emit(source_, 3, 3);
  take(first_, source_, 4);
  EXPECT_EQ(out_.fenced_why(), "it takes records that were never sent");
}

TEST_F(Published, FencesWhoPublishesToOthersThanItWasToldOf) {
  all_ready();
  emit(source_, 3, 2);
  EXPECT_EQ(out_.fenced_why(), "it publishes to others than it was told of");
}

TEST_F(Published, LosesAtOnceWhatADeadReaderHadNotTakenAndWhatIsStillMeantForIt) {
  all_ready();
  emit(source_, 10, 3);
  take(second_, source_, 4);
  die("work", 1);
  EXPECT_EQ(lost(), 6U);
  emit(source_, 2, 3);  // it has not confirmed that one is gone
  EXPECT_EQ(lost(), 8U);
  routed(source_, {{0, second_.incarnation, 10}});
  emit(source_, 5, 2);
  EXPECT_EQ(lost(), 8U);
  EXPECT_EQ(on_the_way(), 34U);
  EXPECT_EQ(deliveries(), 46U);
  EXPECT_EQ(out_.fenced_why(), "");
}

TEST_F(Published, LosesWhatADeadProducerHadNotSentAsItsReadersPartFromIt) {
  all_ready();
  emit(source_, 10, 3);
  die("read");
  EXPECT_EQ(lost(), 0U);
  take(first_, source_, 4);
  routed(first_);
  EXPECT_EQ(lost(), 6U);
  routed(second_);
  routed(third_);
  EXPECT_EQ(lost(), 26U);
  EXPECT_EQ(on_the_way(), 0U);
}

TEST_F(Published, ASuccessorBeginsOnceAllReadersHaveWhatWasSentBefore) {
  all_ready();
  emit(source_, 10, 3);
  die("read");
  Peer next = ready("read");
  EXPECT_TRUE(peers_of(next).peers.empty());
  take(first_, source_, 10);
  routed(first_);
  routed(second_);
  EXPECT_TRUE(peers_of(next).peers.empty()) << "the third may have old records yet";
  routed(third_);
  EXPECT_EQ(peers_of(next).peers.size(), 3U);
  routed(next);
  emit(next, 1, 3);
  EXPECT_EQ(out_.fenced_why(), "");
}

TEST_F(Published, CountsAsLostOnceWhatNobodyReads) {
  source_ = ready("read");
  emit(source_, 7, 0);
  EXPECT_EQ(lost(), 7U);
  EXPECT_EQ(deliveries(), 0U);
  EXPECT_EQ(core_.stream_probes()[0].lost, 7U);
}

TEST_F(Published, AReaderThatComesLaterGetsWhatIsPublishedFromThenOn) {
  all_ready();
  emit(source_, 10, 3);
  die("work", 1);
  Peer late = ready("work", 1);
  EXPECT_EQ(peers_of(source_).peers.size(), 3U);
  emit(source_, 1, 3);  // for those of before
  take(late, source_, 1);
  EXPECT_EQ(out_.fenced_why(), "it takes records of a worker that sends it none");
}

TEST_F(Published, AReaderLeavesOnceItHasTakenAllThatWasSentToIt) {
  all_ready();
  emit(source_, 10, 3);
  say(first_, MessageType::kLeaving, {});
  routed(source_, {{0, first_.incarnation, 6}});
  EXPECT_EQ(lost(), 4U) << "so many had not been sent";
  EXPECT_EQ(out_.count_to(first_.incarnation, MessageType::kDrain), 0U);
  take(first_, source_, 6);
  EXPECT_EQ(out_.count_to(first_.incarnation, MessageType::kDrain), 1U);
}

TEST_F(Published, EndsOnceAllHasComeToAllOrIsLost) {
  all_ready();
  emit(source_, 10, 3);
  wire::Commit last;
  last.enumeration_ended = true;
  commit(source_, last);
  settle();
  EXPECT_TRUE(core_.ledger().stream(0).ended);
  take(first_, source_, 10);
  take(second_, source_, 10);
  EXPECT_EQ(out_.count(MessageType::kFinish), 0U);
  EXPECT_EQ(out_.count_to(source_.incarnation, MessageType::kStop), 0U);
  take(third_, source_, 10);
  EXPECT_EQ(out_.count(MessageType::kFinish), 2U) << "each of the two stages has come to its end";
  EXPECT_EQ(out_.count_to(source_.incarnation, MessageType::kStop), 1U);
}

TEST_F(Published, LastValuesThatComeToAStageThatHasFinishedFailNobody) {
  all_ready();
  emit(source_, 1, 3);
  wire::Commit last;
  last.enumeration_ended = true;
  commit(source_, last);
  settle();
  for (Peer* reader : {&first_, &second_, &third_}) take(*reader, source_, 1);
  for (Peer* reader : {&first_, &second_, &third_}) {
    if (out_.count_to(reader->incarnation, MessageType::kFinish) == 0) continue;
    wire::Commit done;
    done.finished = {0};
    commit(*reader, done);
  }
  ASSERT_TRUE(core_.ledger().stream(1).ended);
  commit(second_, {}, {frame_of_one(1)});
  EXPECT_EQ(out_.fenced_why(), "its stage has finished");
  for (const Notice& notice : out_.notices) EXPECT_NE(notice.kind, Notice::Kind::kStageFailed) << notice.reason;
}

TEST_F(Published, AStartLosesWhatWasOnTheWay) {
  all_ready();
  emit(source_, 10, 3);
  take(first_, source_, 4);
  Recorder out;
  Core again(topology_, {}, out);
  for (std::uint64_t i = 0; i < out_.payloads.size(); ++i) {
    const Bytes copy = out_.payloads[i];
    ASSERT_TRUE(again.ledger().apply(Sequence(i), Buffer::of(copy), {1, 4096, 0, 0}, false).ok());
  }
  EXPECT_EQ(again.ledger().on_the_way(0), 26U);
  again.start(Reign(2), {1, 1}, now_);
  EXPECT_EQ(again.ledger().on_the_way(0), 0U);
  EXPECT_EQ(again.ledger().stream(0).lost, 26U);
  std::vector<Ledger::Fixup> fixups;
  const Bytes checkpoint = again.ledger().encode_checkpoint(fixups);
  Ledger read(topology_);
  const Status decoded = read.decode_checkpoint(checkpoint);
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ(read.stream(0).lost, 26U);
  EXPECT_EQ(read.stream(0).next_offset(0), 30U);
}

TEST_F(Published, AStageThatIsBackMissesWhatWasPublishedMeanwhile) {
  Ledger ledger(topology_);
  std::uint64_t applied = 0;
  const auto follow = [&] {
    for (; applied < out_.payloads.size(); ++applied) {
      const Bytes copy = out_.payloads[applied];
      const Status status = ledger.apply(ledger.next_sequence(), Buffer::of(copy), {1, 4096, 0, 0}, false);
      ASSERT_TRUE(status.ok()) << status.error().message;
    }
  };
  const auto change = [&](const Topology& to) {
    Bytes entry = encode_header({EntryType::kTopology});
    ByteWriter(entry).raw(as_bytes(encode_resolved_briefly(to)));
    const Status status = ledger.apply(ledger.next_sequence(), Buffer::of(entry), {1, 4096, 0, 0}, false);
    ASSERT_TRUE(status.ok()) << status.error().message;
  };
  all_ready();
  emit(source_, 10, 3);
  for (Peer* reader : {&first_, &second_, &third_}) take(*reader, source_, 10);
  follow();
  Topology without = topology_;
  without.stages[3].resting = true;
  change(without);
  emit(source_, 5, 3);
  take(first_, source_, 5);
  take(second_, source_, 5);
  follow();
  change(topology_);
  EXPECT_EQ(ledger.on_the_way(0), 5U) << "the same for all who read it";
  take(third_, source_, 5);
  follow();
  EXPECT_EQ(ledger.on_the_way(0), 0U);
}

}  // namespace
}  // namespace weir::core
