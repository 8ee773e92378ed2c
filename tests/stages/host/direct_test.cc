// SPDX-License-Identifier: Apache-2.0
// Both ends of streams past the broker, joined by hand.
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <vector>

#include "sdk/wire/batch.h"
#include "stages/host/direct_inbox.h"
#include "stages/host/direct_outbox.h"

namespace weir::host {
namespace {

const Incarnation kSender(1);
const Incarnation kTaker(11);
const Incarnation kSecond(12);

Topology one_stream(Dispatch dispatch = Dispatch::kLeastLoaded, Transport transport = Transport::kPushPull) {
  Topology topology;
  topology.streams.emplace_back();
  topology.streams[0].name = "s";
  topology.streams[0].transport = transport;
  topology.streams[0].dispatch = dispatch;
  return topology;
}

/// `count` records of about `bytes` each.
DirectOutput output(std::uint32_t count, std::size_t bytes = 16) {
  DirectOutput made{0, count, {}, 5};
  const Bytes value(bytes, std::byte{0xc0});
  for (std::uint32_t i = 0; i < count; ++i) wire::append_record(made.records, {i, wire::nil_bytes(), value, {}});
  return made;
}

wire::DirectHeader credit(Incarnation from, std::uint64_t bytes) {
  wire::DirectHeader header;
  header.type = wire::MessageType::kRecordsCredit;
  header.from = from.value();
  header.to = kSender.value();
  header.number = bytes;
  return header;
}

wire::Peer consumer(Incarnation incarnation) { return {incarnation, "", {0}, {}}; }
wire::Peer producer(Incarnation incarnation) { return {incarnation, "", {}, {0}}; }

class Outbox : public testing::Test {
 protected:
  void emit(std::uint32_t records, std::size_t bytes = 16) {
    std::vector<DirectOutput> outputs;
    outputs.push_back(output(records, bytes));
    outbox_.hold(++transaction_, std::move(outputs));
  }
  /// Sends all that it can; records by consumer.
  std::map<Incarnation, std::uint64_t> send() {
    std::map<Incarnation, std::uint64_t> sent;
    while (const auto outgoing = outbox_.next()) sent[outgoing->to] += wire::decode_direct(outgoing->message)->count;
    return sent;
  }
  Topology topology_ = one_stream();
  DirectOutbox outbox_{topology_, kSender};
  std::uint64_t transaction_ = 0;
};

TEST_F(Outbox, SendsNothingBeforeItsTransactionIsDurable) {
  outbox_.set_peers({consumer(kTaker)});
  outbox_.take_credit(credit(kTaker, 1 << 20));
  emit(10);
  emit(5);
  EXPECT_TRUE(send().empty());
  outbox_.release(1);
  EXPECT_EQ(send()[kTaker], 10U);
  outbox_.release(2);
  EXPECT_EQ(send()[kTaker], 5U);
  EXPECT_EQ(outbox_.bytes(), 0U);
}

TEST_F(Outbox, KeepsWhatFindsNoCredit) {
  outbox_.set_peers({consumer(kTaker)});
  emit(40, 8 << 10);  // five pieces
  outbox_.release(1);
  EXPECT_TRUE(send().empty()) << "nobody has given credit";
  const std::uint64_t held = outbox_.bytes();
  EXPECT_GT(held, 300U << 10);
  outbox_.take_credit(credit(kTaker, 100 << 10));
  EXPECT_EQ(send()[kTaker], 8U);
  outbox_.take_credit(credit(kTaker, 200 << 10));
  EXPECT_EQ(send()[kTaker], 16U);
  EXPECT_LT(outbox_.bytes(), held);
}

TEST_F(Outbox, OnePieceOfAnySizeMayBeUnderWay) {
  outbox_.set_peers({consumer(kTaker)});
  outbox_.take_credit(credit(kTaker, 10));
  emit(1, 1 << 20);
  const std::uint64_t size = outbox_.bytes();
  emit(1, 1 << 20);
  outbox_.release(2);
  EXPECT_EQ(send()[kTaker], 1U);
  outbox_.take_credit(credit(kTaker, size));
  EXPECT_TRUE(send().empty());
  outbox_.take_credit(credit(kTaker, size + 10));
  EXPECT_EQ(send()[kTaker], 1U);
}

TEST_F(Outbox, TakesCreditThatComesBeforeItKnowsFromWhom) {
  outbox_.take_credit(credit(kTaker, 1 << 20));
  emit(3);
  outbox_.release(1);
  EXPECT_TRUE(send().empty());
  outbox_.set_peers({consumer(kTaker)});
  EXPECT_EQ(send()[kTaker], 3U);
}

TEST_F(Outbox, SaysWhatItSentToThoseThatAreGoneAndGivesTheRestToOthers) {
  outbox_.set_peers({consumer(kTaker), consumer(kSecond)});
  outbox_.take_credit(credit(kTaker, 64 << 10));
  emit(24, 8 << 10);
  outbox_.release(1);
  EXPECT_EQ(send()[kTaker], 8U);
  const std::vector<wire::Sent> left_out = outbox_.set_peers({consumer(kSecond)});
  ASSERT_EQ(left_out.size(), 1U);
  EXPECT_EQ(left_out[0].to, kTaker);
  EXPECT_EQ(left_out[0].records, 8U);
  outbox_.take_credit(credit(kSecond, 1 << 20));
  EXPECT_EQ(send()[kSecond], 16U);
}

TEST_F(Outbox, GivesLessToWhomIsSlow) {
  outbox_.set_peers({consumer(kTaker), consumer(kSecond)});
  outbox_.take_credit(credit(kTaker, 80 << 10));
  outbox_.take_credit(credit(kSecond, 80 << 10));
  emit(80, 8 << 10);  // ten pieces
  outbox_.release(1);
  std::uint64_t quick = send()[kSecond];
  for (std::uint64_t given = 80 << 10; given < 800 << 10; given += 80 << 10) {
    outbox_.take_credit(credit(kSecond, given + (80 << 10)));
    quick += send()[kSecond];
  }
  EXPECT_EQ(quick, 72U) << "the other one has not moved since its first piece";
}

TEST(RoundRobin, WaitsForTheOneWhoseTurnItIs) {
  const Topology topology = one_stream(Dispatch::kRoundRobin);
  DirectOutbox outbox(topology, kSender);
  outbox.set_peers({consumer(kTaker), consumer(kSecond)});
  outbox.take_credit(credit(kTaker, 80 << 10));
  outbox.take_credit(credit(kSecond, 1 << 20));
  std::vector<DirectOutput> outputs;
  outputs.push_back(output(32, 8 << 10));  // four pieces
  outbox.hold(1, std::move(outputs));
  outbox.release(1);
  std::vector<Incarnation> order;
  while (const auto outgoing = outbox.next()) order.push_back(outgoing->to);
  EXPECT_EQ(order, (std::vector<Incarnation>{kTaker, kSecond}));
  outbox.take_credit(credit(kTaker, 1 << 20));
  while (const auto outgoing = outbox.next()) order.push_back(outgoing->to);
  EXPECT_EQ(order, (std::vector<Incarnation>{kTaker, kSecond, kTaker, kSecond}));
}

class Inbox : public testing::Test {
 protected:
  void come(std::uint64_t number, std::uint32_t count, Incarnation from = kSender, Incarnation to = kTaker) {
    const DirectOutput made = output(count);
    wire::DirectHeader header;
    header.type = wire::MessageType::kRecords;
    header.from = from.value();
    header.to = to.value();
    header.number = number;
    header.count = count;
    auto bytes = std::make_shared<Bytes>(made.records);
    const BytesView view = *bytes;
    inbox_.receive(header, std::move(bytes), view);
  }
  Topology topology_ = one_stream();
  DirectInbox inbox_{topology_, kTaker, 1 << 20};
};

TEST_F(Inbox, HandsOutWhatComesAndSaysWhoseItIs) {
  inbox_.set_peers({producer(kSender)});
  come(0, 3);
  const auto event = inbox_.take({});
  ASSERT_TRUE(event);
  EXPECT_EQ(event->producer, kSender);
  EXPECT_EQ(event->missing, 0U);
  EXPECT_EQ(event->delivery.batches[0].count, 3U);
  EXPECT_TRUE(inbox_.empty());
}

TEST_F(Inbox, CountsWhatIsMissing) {
  inbox_.set_peers({producer(kSender)});
  come(0, 3);
  come(5, 2);
  come(5, 2);  // twice
  EXPECT_EQ(inbox_.take({})->missing, 0U);
  EXPECT_EQ(inbox_.take({})->missing, 2U);
  EXPECT_FALSE(inbox_.take({}));
}

TEST_F(Inbox, DropsWhatIsOfNobodyOrForAnother) {
  come(0, 3);
  inbox_.set_peers({producer(kSender)});
  come(0, 3, kSender, kSecond);
  EXPECT_TRUE(inbox_.empty());
  inbox_.part_from(kSender);
  come(0, 3);
  EXPECT_TRUE(inbox_.empty());
}

TEST_F(Inbox, IsThroughWithAProducerOnceAllThatCameIsCommitted) {
  inbox_.set_peers({producer(kSender)});
  EXPECT_TRUE(inbox_.through(kSender));
  come(0, 3);
  EXPECT_FALSE(inbox_.through(kSender));
  inbox_.take({});
  EXPECT_FALSE(inbox_.through(kSender));
  inbox_.commit(1, {{0, kSender.value(), 2, 0}});
  EXPECT_FALSE(inbox_.through(kSender));
  inbox_.commit(1, {{0, kSender.value(), 1, 0}});
  EXPECT_TRUE(inbox_.through(kSender));
}

TEST_F(Inbox, GivesEachProducerItsPartAndMoreAsItIsWorkedOff) {
  inbox_.set_peers({producer(kSender), producer(Incarnation(2))});
  auto given = inbox_.credits(false);
  ASSERT_EQ(given.size(), 2U);
  EXPECT_EQ(wire::decode_direct(given[0].message)->number, 1U << 19);
  EXPECT_TRUE(inbox_.credits(true).empty()) << "it is said once";
  inbox_.worked_off(0, kSender, 100);
  EXPECT_TRUE(inbox_.credits(false).empty()) << "so little is not worth a message";
  given = inbox_.credits(true);
  ASSERT_EQ(given.size(), 1U);
  EXPECT_EQ(given[0].to, kSender);
  EXPECT_EQ(wire::decode_direct(given[0].message)->number, (1U << 19) + 100);
  inbox_.worked_off(0, kSender, 1 << 17);
  EXPECT_EQ(inbox_.credits(false).size(), 1U);
}

// send_receive: the commit waits for the receiver's word.

wire::DirectHeader done(Incarnation from, std::uint64_t records) {
  wire::DirectHeader header = credit(from, records);
  header.type = wire::MessageType::kRecordsDone;
  return header;
}

class SendReceive : public testing::Test {
 protected:
  void emit(std::uint32_t records) {
    std::vector<DirectOutput> outputs;
    outputs.push_back(output(records));
    outbox_.hold(++transaction_, std::move(outputs));
  }
  std::uint64_t send() {
    std::uint64_t sent = 0;
    while (const auto outgoing = outbox_.next()) sent += wire::decode_direct(outgoing->message)->count;
    return sent;
  }
  Topology topology_ = one_stream(Dispatch::kLeastLoaded, Transport::kSendReceive);
  DirectOutbox outbox_{topology_, kSender};
  std::uint64_t transaction_ = 0;
};

TEST_F(SendReceive, SendsAtOnceAndIsAcknowledgedTransactionByTransaction) {
  outbox_.set_peers({consumer(kTaker)});
  outbox_.take_credit(credit(kTaker, 1 << 20));
  emit(3);
  emit(4);
  EXPECT_EQ(send(), 7U);
  EXPECT_FALSE(outbox_.acknowledged(1));
  outbox_.take_done(done(kTaker, 2));
  EXPECT_FALSE(outbox_.acknowledged(1)) << "one of its three is missing";
  outbox_.take_done(done(kTaker, 3));
  EXPECT_TRUE(outbox_.acknowledged(1));
  EXPECT_FALSE(outbox_.acknowledged(2));
  EXPECT_GT(outbox_.bytes(), 0U);
  outbox_.take_done(done(kTaker, 7));
  EXPECT_TRUE(outbox_.acknowledged(2));
  EXPECT_EQ(outbox_.bytes(), 0U);
}

TEST_F(SendReceive, SendsAgainWhatOneThatIsGoneHadNotAcknowledged) {
  outbox_.set_peers({consumer(kTaker)});
  outbox_.take_credit(credit(kTaker, 1 << 20));
  emit(3);
  emit(4);
  send();
  outbox_.take_done(done(kTaker, 3));
  EXPECT_TRUE(outbox_.set_peers({consumer(kSecond)}).empty()) << "nobody counts what was sent there";
  outbox_.take_credit(credit(kSecond, 1 << 20));
  EXPECT_EQ(send(), 4U);
  outbox_.take_done(done(kTaker, 7));  // too late
  EXPECT_FALSE(outbox_.acknowledged(2));
  outbox_.take_done(done(kSecond, 4));
  EXPECT_TRUE(outbox_.acknowledged(2));
}

TEST(SendReceiveInbox, AcknowledgesWhatIsCommittedOnceTheBrokerHasAcceptedIt) {
  const Topology topology = one_stream(Dispatch::kLeastLoaded, Transport::kSendReceive);
  DirectInbox inbox(topology, kTaker, 1 << 20);
  inbox.set_peers({producer(kSender)});
  wire::DirectHeader header;
  header.type = wire::MessageType::kRecords;
  header.from = kSender.value();
  header.to = kTaker.value();
  header.count = 5;
  inbox.receive(header, nullptr, {});
  inbox.take({});
  inbox.commit(1, {{0, kSender.value(), 2, 0}});
  inbox.commit(2, {{0, kSender.value(), 3, 0}});
  EXPECT_TRUE(inbox.acknowledgements({}).empty());
  inbox.accepted(1);
  auto said = inbox.acknowledgements({});
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(wire::decode_direct(said[0].message)->number, 2U);
  inbox.accepted(2);
  EXPECT_EQ(wire::decode_direct(inbox.acknowledgements({})[0].message)->number, 5U);
  EXPECT_TRUE(inbox.acknowledgements({}).empty());
}

TEST(SendReceiveInbox, DropsWhatOneThatIsGoneWillSendAgain) {
  const Topology topology = one_stream(Dispatch::kLeastLoaded, Transport::kSendReceive);
  DirectInbox inbox(topology, kTaker, 1 << 20);
  inbox.set_peers({producer(kSender)});
  wire::DirectHeader header;
  header.type = wire::MessageType::kRecords;
  header.from = kSender.value();
  header.to = kTaker.value();
  header.count = 5;
  inbox.receive(header, nullptr, {});
  inbox.set_peers({});
  EXPECT_TRUE(inbox.empty());
  EXPECT_TRUE(inbox.through(kSender));
}

TEST_F(SendReceive, SendsNothingAgainThatWasAcknowledgedOfAPiece) {
  for (const Compression compression : {Compression::kNone, Compression::kLz4}) {
    Topology topology = topology_;
    topology.broker.segment_bytes = 4 << 20;
    topology.streams[0].compression = compression;
    DirectOutbox outbox(topology, kSender);
    outbox.set_peers({consumer(kTaker)});
    outbox.take_credit(credit(kTaker, 1 << 20));
    std::vector<DirectOutput> outputs;
    outputs.push_back(output(10, 200));
    outbox.hold(1, std::move(outputs));
    while (outbox.next()) {
    }
    outbox.take_done(done(kTaker, 4));
    EXPECT_FALSE(outbox.acknowledged(1));
    outbox.set_peers({consumer(kSecond)});
    outbox.take_credit(credit(kSecond, 1 << 20));
    const auto again = outbox.next();
    ASSERT_TRUE(again);
    const auto header = wire::decode_direct(again->message);
    EXPECT_EQ(header->count, 6U);
    EXPECT_EQ(header->offset, 4U);
    wire::Decompressor decompressor;
    const auto plain = decompressor.records(header->compression, wire::records_of(again->message), 1 << 20);
    ASSERT_TRUE(plain.ok());
    wire::BatchReader reader(*plain);
    for (Timestamp expected = 4; expected < 10; ++expected) EXPECT_EQ(reader.next()->timestamp, expected);
    EXPECT_FALSE(reader.next());
    outbox.take_done(done(kSecond, 6));
    EXPECT_TRUE(outbox.acknowledged(1));
    EXPECT_EQ(outbox.bytes(), 0U);
  }
}

/// A reader of one stream, which commits what it is given as a test says.
class Suspicion : public testing::Test {
 protected:
  Suspicion() { inbox_->set_peers({producer(kSender)}); }

  /// Ten records, from offset 100 on.
  void come(Compression compression = Compression::kNone) {
    DirectOutput made = output(10);
    auto bytes = std::make_shared<Bytes>();
    wire::Compressor compressor(compression);
    wire::DirectHeader header;
    header.compression = static_cast<std::uint32_t>(compressor.append(made.records, *bytes));
    header.type = wire::MessageType::kRecords;
    header.from = kSender.value();
    header.to = kTaker.value();
    header.count = 10;
    header.offset = 100;
    size_ = bytes->size();
    const BytesView view = *bytes;
    inbox_->receive(header, std::move(bytes), view);
  }
  void suspect(std::uint64_t offset, std::uint32_t attempts = 0) {
    inbox_->suspect({0, kSender, offset, attempts, attempts == 0 ? "" : "it killed"});
  }
  /// The next part: from which record on, and how many; nothing while it waits.
  std::optional<std::pair<std::uint64_t, std::uint32_t>> take() {
    event_ = inbox_->take(now_);
    if (!event_) return std::nullopt;
    const wire::DeliveryHeader& header = event_->delivery.batches.front();
    bytes_ += header.bytes;
    inbox_->commit(++transaction_, {{0, kSender.value(), header.count, 0}});
    return std::pair(header.offset, header.count);
  }
  /// The broker has accepted all, and the producer was told some time ago.
  void acknowledge() {
    inbox_->accepted(transaction_);
    inbox_->acknowledgements(now_);
    EXPECT_FALSE(take()) << "that word may not have left";
    now_ += Monotonic(5'000);
  }

  using Part = std::optional<std::pair<std::uint64_t, std::uint32_t>>;
  Topology topology_ = one_stream(Dispatch::kLeastLoaded, Transport::kSendReceive);
  std::unique_ptr<DirectInbox> inbox_ = std::make_unique<DirectInbox>(topology_, kTaker, 1 << 20);
  Monotonic now_{0};
  std::uint64_t transaction_ = 0;
  std::size_t size_ = 0;
  std::uint64_t bytes_ = 0;
  std::optional<Event> event_;
};

TEST_F(Suspicion, HandsOutARecordAloneOnceAllBeforeItIsAcknowledgedAndTheRestBehindIt) {
  for (const Compression compression : {Compression::kNone, Compression::kLz4}) {
    inbox_ = std::make_unique<DirectInbox>(topology_, kTaker, 1 << 20);
    inbox_->set_peers({producer(kSender)});
    transaction_ = bytes_ = 0;
    suspect(106);
    come(compression);
    EXPECT_EQ(take(), (Part({100, 6})));
    EXPECT_FALSE(event_->alone);
    EXPECT_FALSE(take());
    EXPECT_TRUE(inbox_->holds());
    acknowledge();
    EXPECT_EQ(take(), (Part({106, 1})));
    EXPECT_TRUE(event_->alone);
    EXPECT_FALSE(event_->given_up);
    const wire::DeliveryHeader& header = event_->delivery.batches.front();
    wire::Decompressor decompressor;
    const auto plain = decompressor.records(header.compression, event_->delivery.records.front(), 1 << 20);
    wire::BatchReader reader(*plain);
    for (std::uint32_t i = 0; i < header.skip; ++i) reader.next();
    EXPECT_EQ(reader.next()->timestamp, 6);
    acknowledge();
    EXPECT_EQ(take(), (Part({107, 3})));
    EXPECT_FALSE(event_->alone);
    EXPECT_TRUE(inbox_->empty());
    EXPECT_EQ(bytes_, size_) << "credit is given back once";
    EXPECT_TRUE(inbox_->through(kSender));
  }
}

TEST_F(Suspicion, SaysOfARecordThatItIsGivenUpAndOfOthersNothing) {
  suspect(100, 2);
  suspect(300);
  come();
  EXPECT_FALSE(take()) << "nothing has been said of what came before";
  now_ += Monotonic(5'000);
  EXPECT_EQ(take(), (Part({100, 1})));
  EXPECT_TRUE(event_->given_up);
  EXPECT_EQ(event_->condemned.offset, 100U);
  EXPECT_EQ(event_->condemned.attempts, 2U);
  EXPECT_EQ(event_->condemned.reason, "it killed");
  acknowledge();
  EXPECT_EQ(take(), (Part({101, 9})));
}

}  // namespace
}  // namespace weir::host
