// SPDX-License-Identifier: Apache-2.0
// What a worker says to the broker, and what it makes of the answers, without a socket.
#include "stages/host/broker_session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sdk/wire/batch.h"
#include "sdk/wire/direct.h"

namespace weir::host {
namespace {

using wire::MessageType;

constexpr Monotonic kAtOnce{0};
constexpr Monotonic kInAWhile{1000};

class Session final : public BrokerSession {
 public:
  using BrokerSession::Follows;
  /// `publishes`: to stream 0.
  explicit Session(bool publishes = false) {
    wire::WorkerWelcome welcome;
    welcome.incarnation = Incarnation(7);
    welcome.beat = std::chrono::milliseconds(500);
    welcome.silence = std::chrono::seconds(10);
    set_welcome(std::move(welcome));
    topology.broker.transaction_bytes_max = 1 << 20;
    StageSpec stage;
    stage.memory_bytes = 1 << 20;
    stage.commit_after = std::chrono::milliseconds(50);
    if (publishes) {
      topology.streams.emplace_back();
      topology.streams[0].transport = Transport::kPubSub;
      stage.outputs = {{"out", 0}};
    }
    topology.stages.push_back(stage);
    start(topology, 0);
  }
  Event next(Monotonic wait) override {
    pump();
    return take(wait > Monotonic{0}).value_or(Event{});
  }
  /// The broker's next message.
  void tell(MessageType type, BytesView body = {}) {
    inbox.push_back(wire::message({type, wire::kWireVersion, 0, 7, ++told}, body));
  }
  [[nodiscard]] std::uint64_t credit_said() const {
    std::uint64_t credit = 0;
    for (const Bytes& message : said) {
      if (wire::decode_header(message)->type != MessageType::kCredit) continue;
      credit = wire::decode_totals(wire::body_of(message))->first;
    }
    return credit;
  }

  [[nodiscard]] std::size_t count_said(MessageType type) const {
    return static_cast<std::size_t>(std::count_if(
        said.begin(), said.end(), [&](const Bytes& message) { return wire::decode_header(message)->type == type; }));
  }

  /// Tells it of a consumer of stream 0, which then gives credit.
  void consumer(Incarnation peer, std::uint64_t version) {
    tell(MessageType::kPeers, wire::encode_peers({version, {{peer, "there", {0}, {}}}}));
    next({});
    direct({MessageType::kRecordsCredit, wire::kWireVersion, 0, peer.value(), 7, 1 << 20});
  }
  void direct(const wire::DirectHeader& header, BytesView records = {}) {
    inbox.push_back(wire::direct_message(header, records));
    next({});
  }
  /// Commits a transaction that emits a record to stream 0.
  void emit() {
    DirectPart part;
    part.outputs.push_back({0, 1, {}, 0});
    wire::append_record(part.outputs[0].records, {0, wire::nil_bytes(), wire::nil_bytes(), {}});
    commit_direct(std::move(part));
    commit(Bytes(sizeof(wire::MessageHeader) + 10));
  }

  bool leaves = false;
  Monotonic now{0};
  Topology topology;
  std::uint64_t told = 0;
  std::deque<Bytes> inbox;
  std::vector<Bytes> said;
  std::vector<Follows> follows;  ///< behind each of them
  std::map<Incarnation, std::string> connected;
  std::vector<std::pair<Incarnation, Bytes>> sent;

 private:
  void transmit(Bytes message, Follows more) override {
    said.push_back(std::move(message));
    follows.push_back(more);
  }
  void connect_peer(Incarnation peer, const std::string& at) override { connected[peer] = at; }
  void disconnect_peer(Incarnation peer) override { connected.erase(peer); }
  void transmit_to(Incarnation peer, Bytes message) override { sent.emplace_back(peer, std::move(message)); }
  std::optional<Received> receive() override {
    if (inbox.empty()) return std::nullopt;
    auto owner = std::make_shared<Bytes>(std::move(inbox.front()));
    inbox.pop_front();
    const BytesView view = *owner;
    return Received{std::move(owner), view};
  }
  [[nodiscard]] Monotonic clock() const override { return now; }
  [[nodiscard]] bool asked_to_leave() const override { return leaves; }
};

TEST(BrokerSession, TellsOfEveryByteWorkedOffOnceNothingElseIsToDo) {
  Session session;
  const std::uint64_t before = session.credit_said();
  session.worked_off(10, 1);  // too little to be worth a message of its own
  EXPECT_EQ(session.credit_said(), before);
  session.next(kAtOnce);
  EXPECT_EQ(session.credit_said(), before) << "whoever does not wait is about to commit";
  session.next(kInAWhile);
  EXPECT_EQ(session.credit_said(), before + 10);
  const std::size_t said = session.said.size();
  session.next(kInAWhile);
  EXPECT_EQ(session.said.size(), said) << "it says the same twice";
}

TEST(BrokerSession, TellsOfWhatIsWorkedOffTogetherWithTheCommit) {
  Session session;
  session.worked_off(10, 1);
  session.next(kAtOnce);
  session.said.clear();
  session.follows.clear();
  session.commit(wire::message_room());
  ASSERT_EQ(session.said.size(), 2U);
  EXPECT_EQ(wire::decode_header(session.said[0])->type, MessageType::kCredit);
  EXPECT_EQ(wire::decode_header(session.said[1])->type, MessageType::kCommit);
  EXPECT_EQ(session.follows, (std::vector{Session::Follows::kMore, Session::Follows::kNothing}));
}

TEST(BrokerSession, LosesTheBrokerWhenAMessageIsMissing) {
  Session session;
  session.tell(MessageType::kFinish, wire::encode_shards({1}));
  ++session.told;
  session.tell(MessageType::kFinish, wire::encode_shards({2}));
  const Event event = session.next({});
  EXPECT_EQ(event.kind, Event::Kind::kLost);
  EXPECT_EQ(event.sentence, "message 3 of the broker came where 2 was due");
}

TEST(BrokerSession, LosesTheBrokerWhenItsLastMessageIsMissing) {
  Session session;
  session.tell(MessageType::kFinish, wire::encode_shards({1}));
  EXPECT_EQ(session.next({}).kind, Event::Kind::kFinish);
  session.inbox.push_back(wire::message({MessageType::kBeatDown, wire::kWireVersion, 0, 7, 2}));
  EXPECT_EQ(session.next({}).kind, Event::Kind::kLost);
}

TEST(BrokerSession, LosesASilentBroker) {
  Session session;
  session.now = std::chrono::seconds(10);
  EXPECT_EQ(session.next({}).kind, Event::Kind::kNone);
  session.now += Monotonic(1);
  EXPECT_EQ(session.next({}).kind, Event::Kind::kLost);
}

TEST(BrokerSession, IsDeafToMessagesForAnotherIncarnation) {
  Session session;
  session.inbox.push_back(wire::message({MessageType::kFinish, wire::kWireVersion, 0, 6, 1}, wire::encode_shards({1})));
  EXPECT_EQ(session.next({}).kind, Event::Kind::kNone);
}

TEST(BrokerSession, HandsOutADrainBeforeAllElseAndForgetsWhatCameBefore) {
  Session session;
  session.tell(MessageType::kGrant, wire::encode_leases({wire::Lease{}}));
  session.tell(MessageType::kDrain);
  EXPECT_EQ(session.next({}).kind, Event::Kind::kDrain);
  EXPECT_EQ(session.next({}).kind, Event::Kind::kNone);
}

TEST(BrokerSession, SaysOnceThatItWasAskedToGoAndGoesOn) {
  Session session;
  session.tell(MessageType::kFinish, wire::encode_shards({1}));
  session.leaves = true;
  EXPECT_EQ(session.next({}).kind, Event::Kind::kFinish);
  EXPECT_EQ(session.next({}).kind, Event::Kind::kNone);
  EXPECT_EQ(session.count_said(MessageType::kLeaving), 1U);
  session.tell(MessageType::kDrain);
  EXPECT_EQ(session.next({}).kind, Event::Kind::kDrain);
  EXPECT_EQ(session.count_said(MessageType::kLeaving), 1U);
}

TEST(BrokerSession, PublishesNoMoreThanTheJournalIsToTakeHoweverLittleEachCommitCarries) {
  Session session;
  session.tell(MessageType::kPublish, wire::encode_totals({64 << 10, 0}));
  session.next({});
  int commits = 0;
  for (; session.may_publish(); ++commits) session.commit(Bytes(sizeof(wire::MessageHeader) + 10));
  EXPECT_EQ(commits, 8) << "a group and a mark take a block of 4 KiB each";
}

TEST(BrokerSession, ATransactionGathersForAFewMillisecondsAndNeverPastCommitAfter) {
  using std::chrono::milliseconds;
  const Session session;
  const Monotonic opened = milliseconds(1000);
  EXPECT_EQ(session.gathers_until(opened, milliseconds(1000)), milliseconds(1005));
  EXPECT_EQ(session.gathers_until(opened, milliseconds(1030)), milliseconds(1035));
  EXPECT_EQ(session.gathers_until(opened, milliseconds(1047)), milliseconds(1050));
  EXPECT_FALSE(session.closes(opened, milliseconds(1050) - Monotonic{1}));
  EXPECT_TRUE(session.closes(opened, milliseconds(1050)));
}

TEST(BrokerSession, ATransactionGathersLongerWhereResultsMayBeLater) {
  using std::chrono::milliseconds;
  const auto gap = [](Monotonic commit_after) {
    Session session;
    session.topology.stages[0].commit_after = commit_after;
    session.start(session.topology, 0);
    return session.gathers_until(milliseconds(1000), milliseconds(1000)) - milliseconds(1000);
  };
  EXPECT_EQ(gap(milliseconds(2)), milliseconds(2));
  EXPECT_EQ(gap(milliseconds(100)), milliseconds(5));
  EXPECT_EQ(gap(milliseconds(400)), milliseconds(20));
  EXPECT_EQ(gap(milliseconds(1000)), milliseconds(50));
  EXPECT_EQ(gap(milliseconds(60'000)), milliseconds(50));
}

TEST(BrokerSession, HoldsDeliveriesBackWhileTheWindowIsFull) {
  Session session;
  session.commit(Bytes(sizeof(wire::MessageHeader) + (1 << 20)));
  EXPECT_FALSE(session.has_window());
  session.tell(MessageType::kDeliver, Bytes(4));
  session.tell(MessageType::kFinish, wire::encode_shards({1}));
  EXPECT_EQ(session.next({}).kind, Event::Kind::kNone);
  session.tell(MessageType::kCommitted, wire::encode_totals({1, 0}));
  EXPECT_EQ(session.next({}).kind, Event::Kind::kDeliver);
  EXPECT_EQ(session.next({}).kind, Event::Kind::kFinish);
  EXPECT_EQ(session.settled(), 0U);
}

const Incarnation kTaker(9);

void one_stream(Session& session, Transport transport) {
  session.topology.streams.emplace_back();
  session.topology.streams[0].transport = transport;
}

TEST(BrokerSession, SendsPastTheBrokerOnceTheTransactionIsSettled) {
  Session session;
  one_stream(session, Transport::kPushPull);
  session.consumer(kTaker, 1);
  EXPECT_EQ(session.connected[kTaker], "there");
  session.emit();
  EXPECT_EQ(session.count_said(MessageType::kCommit), 1U);
  EXPECT_TRUE(session.sent.empty());
  session.tell(MessageType::kCommitted, wire::encode_totals({1, 0}));
  session.next({});
  EXPECT_TRUE(session.sent.empty()) << "accepted is not durable";
  session.tell(MessageType::kCommitted, wire::encode_totals({1, 1}));
  session.next({});
  ASSERT_EQ(session.sent.size(), 1U);
  EXPECT_EQ(session.sent[0].first, kTaker);
}

TEST(BrokerSession, ACommitWaitsUntilWhatItEmittedIsAcknowledgedAndSoDoesTheDrain) {
  Session session;
  one_stream(session, Transport::kSendReceive);
  session.consumer(kTaker, 1);
  session.emit();
  EXPECT_EQ(session.sent.size(), 1U);
  session.commit(Bytes(sizeof(wire::MessageHeader) + 10));
  session.drained();
  EXPECT_EQ(session.count_said(MessageType::kCommit), 0U);
  EXPECT_EQ(session.count_said(MessageType::kDrained), 0U);
  session.direct({MessageType::kRecordsDone, wire::kWireVersion, 0, kTaker.value(), 7, 1});
  EXPECT_EQ(session.count_said(MessageType::kCommit), 2U);
  EXPECT_EQ(session.count_said(MessageType::kDrained), 1U);
}

TEST(BrokerSession, ALeaseIsLetGoBehindAllThatWasCommittedUnderIt) {
  Session session;
  session.release({{}});
  EXPECT_EQ(session.count_said(MessageType::kReleased), 1U) << "nothing is in front of it";
  session.said.clear();
  one_stream(session, Transport::kSendReceive);
  session.consumer(kTaker, 1);
  session.emit();
  session.release({{}});
  session.commit(Bytes(sizeof(wire::MessageHeader) + 10));
  EXPECT_EQ(session.count_said(MessageType::kReleased), 0U);
  session.direct({MessageType::kRecordsDone, wire::kWireVersion, 0, kTaker.value(), 7, 1});
  std::vector<MessageType> order;
  for (const Bytes& message : session.said) {
    const MessageType type = wire::decode_header(message)->type;
    if (type == MessageType::kCommit || type == MessageType::kReleased) order.push_back(type);
  }
  EXPECT_EQ(order, (std::vector{MessageType::kCommit, MessageType::kReleased, MessageType::kCommit}));
}

TEST(BrokerSession, IsDrainedWithoutWhatNobodyIsLeftToAcknowledge) {
  Session session;
  one_stream(session, Transport::kSendReceive);
  session.consumer(kTaker, 1);
  session.emit();
  session.drained();
  session.tell(MessageType::kPeers, wire::encode_peers({2, {}}));
  session.next({});
  session.next({});
  EXPECT_EQ(session.count_said(MessageType::kCommit), 0U);
  EXPECT_EQ(session.count_said(MessageType::kDrained), 1U);
}

TEST(BrokerSession, PublishesToThoseItHasConfirmedAndWaitsWhileThereAreNone) {
  Session session(true);
  EXPECT_FALSE(session.has_window()) << "nobody would hear it";
  session.consumer(kTaker, 1);
  EXPECT_EQ(session.count_said(MessageType::kRouted), 1U);
  EXPECT_EQ(session.readers(0), 1U);
  EXPECT_TRUE(session.has_window());
  session.emit();
  session.next({});
  EXPECT_TRUE(session.sent.empty());
  session.tell(MessageType::kCommitted, wire::encode_totals({1, 1}));
  session.next({});
  ASSERT_EQ(session.sent.size(), 1U);
  EXPECT_EQ(session.sent[0].first, kTaker);
  session.tell(MessageType::kPeers, wire::encode_peers({2, {}}));
  session.next({});
  EXPECT_EQ(session.count_said(MessageType::kRouted), 2U);
  EXPECT_FALSE(session.has_window());
}

TEST(BrokerSession, PartsFromAProducerOnceAllThatCameFromItIsCommitted) {
  Session session;
  one_stream(session, Transport::kPushPull);
  session.tell(MessageType::kPublish, wire::encode_totals({1 << 20, 0}));
  session.tell(MessageType::kPeers, wire::encode_peers({1, {{kTaker, "there", {}, {0}}}}));
  session.next({});
  EXPECT_EQ(session.count_said(MessageType::kRouted), 1U);
  ASSERT_EQ(session.sent.size(), 1U) << "its first credit";
  Bytes record;
  wire::append_record(record, {0, wire::nil_bytes(), wire::nil_bytes(), {}});
  session.inbox.push_back(
      wire::direct_message({MessageType::kRecords, wire::kWireVersion, 0, kTaker.value(), 7, 0, 0, 0, 1, 0}, record));
  session.tell(MessageType::kPeers, wire::encode_peers({2, {}}));
  const Event event = session.next({});
  EXPECT_EQ(event.producer, kTaker);
  EXPECT_EQ(session.count_said(MessageType::kRouted), 1U) << "it has yet to commit one";
  DirectPart part;
  part.taken = {{0, kTaker.value(), 1, 0}};
  session.commit_direct(std::move(part));
  session.commit(Bytes(sizeof(wire::MessageHeader) + 10));
  session.next({});
  EXPECT_EQ(session.count_said(MessageType::kRouted), 2U);
  EXPECT_EQ(session.said.back().size(), sizeof(wire::MessageHeader) + 12);
}

}  // namespace
}  // namespace weir::host
