// SPDX-License-Identifier: Apache-2.0
// What is published goes to all who read it, each at its own pace; who comes later may get the last value of each key.
#include "stages/host/publisher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "sdk/wire/batch.h"
#include "stages/host/direct_inbox.h"

namespace weir::host {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using wire::MessageType;

const Incarnation kSender(1);
const Incarnation kReader(11);
const Incarnation kSecond(12);

Topology topology(std::uint64_t last_values_bytes) {
  Topology topology;
  topology.streams.emplace_back();
  topology.streams[0].name = "s";
  topology.streams[0].transport = Transport::kPubSub;
  topology.streams[0].last_values_bytes = last_values_bytes;
  topology.stages.emplace_back();
  topology.stages[0].outputs = {{"out", 0}};
  return topology;
}

wire::Peer reader(Incarnation incarnation) { return {incarnation, "", {0}, {}}; }

wire::DirectHeader credit(Incarnation from, std::uint64_t bytes) {
  wire::DirectHeader header;
  header.type = MessageType::kRecordsCredit;
  header.from = from.value();
  header.to = kSender.value();
  header.number = bytes;
  return header;
}

class PublisherOf : public testing::Test {
 protected:
  explicit PublisherOf(std::uint64_t last_values_bytes = 0) : topology_(topology(last_values_bytes)) {}

  void readers(const std::vector<Incarnation>& all) {
    std::vector<wire::Peer> peers;
    for (const Incarnation each : all) peers.push_back(reader(each));
    for (const wire::Sent& sent : publisher_.set_peers(peers)) left_out_[sent.to] = sent.records;
    publisher_.confirm();
  }
  /// Commits a transaction whose records have these one-byte keys, and values of so many bytes.
  void emit(const std::vector<std::uint8_t>& keys, std::size_t bytes = 1) {
    std::vector<DirectOutput> outputs(1);
    for (const std::uint8_t key : keys) {
      const Bytes key_bytes = {std::byte{key}};
      wire::append_record(outputs[0].records, {++emitted_, key_bytes, Bytes(bytes, std::byte{0xc0}), {}});
    }
    outputs[0].count = static_cast<std::uint32_t>(keys.size());
    publisher_.hold(++transaction_, std::move(outputs));
  }
  void emit_and_release(const std::vector<std::uint8_t>& keys, std::size_t bytes = 1) {
    emit(keys, bytes);
    publisher_.release(transaction_);
  }
  /// Sends all that it can. What each got, by the number that a record was emitted as.
  struct Got {
    std::vector<Timestamp> records;
    std::vector<Timestamp> last_values;
  };
  std::map<Incarnation, Got> send() {
    std::map<Incarnation, Got> got;
    while (const auto outgoing = publisher_.next()) {
      const auto header = *wire::decode_direct(outgoing->message);
      EXPECT_EQ(header.to, outgoing->to.value());
      const bool last = header.type == MessageType::kRecordsLast;
      EXPECT_EQ(header.number, numbers_[outgoing->to]);
      if (!last) numbers_[outgoing->to] += header.count;
      wire::BatchReader records(wire::records_of(outgoing->message));
      for (std::uint32_t i = 0; i < header.count; ++i)
        (last ? got[outgoing->to].last_values : got[outgoing->to].records).push_back(records.next()->timestamp);
    }
    return got;
  }

  Topology topology_;
  Publisher publisher_{topology_, 0, kSender};
  std::uint64_t transaction_ = 0;
  Timestamp emitted_ = 0;
  std::map<Incarnation, std::uint64_t> left_out_;
  std::map<Incarnation, std::uint64_t> numbers_;  ///< that the next message to each must have
};

class Publishes : public PublisherOf {};

TEST_F(Publishes, ToAllOnceTheTransactionIsDurable) {
  readers({kReader, kSecond});
  EXPECT_EQ(publisher_.readers(0), 2U);
  publisher_.take_credit(credit(kReader, 1 << 20));
  publisher_.take_credit(credit(kSecond, 1 << 20));
  emit({1, 2});
  emit({3});
  EXPECT_THAT(send(), IsEmpty());
  publisher_.release(1);
  auto got = send();
  EXPECT_THAT(got[kReader].records, ElementsAre(1, 2));
  EXPECT_THAT(got[kSecond].records, ElementsAre(1, 2));
  publisher_.release(2);
  EXPECT_THAT(send()[kSecond].records, ElementsAre(3));
  EXPECT_EQ(publisher_.bytes(), 0U);
}

TEST_F(Publishes, ToEachAtItsOwnPaceAndKeepsWhatOneHasNoCreditFor) {
  readers({kReader, kSecond});
  publisher_.take_credit(credit(kReader, 1 << 20));
  publisher_.take_credit(credit(kSecond, 80 << 10));
  emit_and_release({1, 2, 3}, 70 << 10);  // three pieces
  auto got = send();
  EXPECT_THAT(got[kReader].records, ElementsAre(1, 2, 3));
  EXPECT_THAT(got[kSecond].records, ElementsAre(1));
  EXPECT_GT(publisher_.bytes(), 140U << 10) << "nothing is dropped";
  EXPECT_LT(publisher_.bytes(), 150U << 10);
  publisher_.take_credit(credit(kSecond, 1 << 20));
  EXPECT_THAT(send()[kSecond].records, ElementsAre(2, 3));
  EXPECT_EQ(publisher_.bytes(), 0U);
}

TEST_F(Publishes, ToThoseWhoReadWhenTheTransactionWasCommitted) {
  publisher_.take_credit(credit(kSecond, 1 << 20));  // before it is known
  readers({kReader});
  publisher_.take_credit(credit(kReader, 1 << 20));
  emit({1});
  readers({kReader, kSecond});
  emit({2});
  publisher_.release(2);
  auto got = send();
  EXPECT_THAT(got[kReader].records, ElementsAre(1, 2));
  EXPECT_THAT(got[kSecond].records, ElementsAre(2));
}

TEST_F(Publishes, ForOneThatIsNotConfirmedYetNothing) {
  readers({kReader});
  publisher_.set_peers({reader(kReader), reader(kSecond)});
  EXPECT_EQ(publisher_.readers(0), 1U);
  emit_and_release({1});
  publisher_.take_credit(credit(kSecond, 1 << 20));
  EXPECT_THAT(send()[kSecond].records, IsEmpty());
  publisher_.confirm();
  EXPECT_EQ(publisher_.readers(0), 2U);
}

TEST_F(Publishes, NothingMoreToOneThatIsLeftOutAndSaysWhatItWasSent) {
  readers({kReader, kSecond});
  publisher_.take_credit(credit(kReader, 80 << 10));
  emit_and_release({1, 2, 3}, 70 << 10);
  EXPECT_THAT(send()[kReader].records, ElementsAre(1));
  readers({kSecond});
  EXPECT_EQ(left_out_, (std::map<Incarnation, std::uint64_t>{{kReader, 1}}));
  publisher_.take_credit(credit(kReader, 1 << 20));
  publisher_.take_credit(credit(kSecond, 1 << 20));
  EXPECT_EQ(send().size(), 1U);
  EXPECT_EQ(publisher_.bytes(), 0U);
}

TEST_F(Publishes, IsHeardOnceSomebodyReads) {
  EXPECT_TRUE(publisher_.publishes());
  EXPECT_FALSE(publisher_.is_heard());
  readers({kReader});
  EXPECT_TRUE(publisher_.is_heard());
  readers({});
  EXPECT_FALSE(publisher_.is_heard());
}

class KeepsLastValues : public PublisherOf {
 protected:
  KeepsLastValues() : PublisherOf(1 << 20) {}
};

TEST_F(KeepsLastValues, AndGivesThemToOneThatComesLaterBeforeAnythingElse) {
  readers({kReader});
  publisher_.take_credit(credit(kReader, 1 << 20));
  emit_and_release({1, 2, 1});
  readers({kReader, kSecond});
  publisher_.take_credit(credit(kSecond, 1 << 20));
  emit_and_release({2});
  auto got = send();
  EXPECT_THAT(got[kSecond].last_values, ElementsAre(2, 3));
  EXPECT_THAT(got[kSecond].records, ElementsAre(4));
  EXPECT_THAT(got[kReader].records, ElementsAre(1, 2, 3, 4)) << "nothing comes twice";
  EXPECT_THAT(got[kReader].last_values, IsEmpty());
  EXPECT_EQ(publisher_.bytes(), 0U);
}

TEST_F(KeepsLastValues, OfAllThatWasCommittedBeforeItCame) {
  readers({kReader});
  emit({1});
  emit({2});
  readers({kReader, kSecond});  // neither of the two is durable yet
  publisher_.take_credit(credit(kSecond, 1 << 20));
  emit({1});
  publisher_.release(1);
  EXPECT_THAT(send(), IsEmpty()) << "the second is still to come";
  publisher_.release(3);
  auto got = send();
  EXPECT_THAT(got[kSecond].last_values, ElementsAre(1, 2));
  EXPECT_THAT(got[kSecond].records, ElementsAre(3));
}

TEST_F(KeepsLastValues, UnderOffsetsThatNoOtherRecordHas) {
  readers({kReader});
  emit_and_release({1, 2});
  readers({kReader, kSecond});
  publisher_.take_credit(credit(kSecond, 1 << 20));
  std::set<std::uint64_t> offsets;
  while (const auto outgoing = publisher_.next()) offsets.insert(wire::decode_direct(outgoing->message)->offset);
  ASSERT_EQ(offsets.size(), 1U);
  EXPECT_GE(*offsets.begin(), std::uint64_t{1} << 52);
}

TEST(LastValues, ForgetTheKeyThatWasPublishedLongestAgo) {
  const auto record = [](std::uint8_t key, Timestamp at, std::size_t bytes) {
    const Bytes key_bytes = {std::byte{key}};
    Bytes made;
    wire::append_record(made, {at, key_bytes, Bytes(bytes, std::byte{0xc0}), {}});
    return made;
  };
  LastValues values(3 * 1200);
  const auto kept = [&] {
    std::vector<Timestamp> times;
    const Bytes all = values.records();
    wire::BatchReader reader(all);
    while (const auto found = reader.next()) times.push_back(found->timestamp);
    EXPECT_EQ(times.size(), values.count());
    return times;
  };
  for (std::uint8_t key = 1; key <= 3; ++key) values.take(record(key, key, 1000), 1);
  EXPECT_THAT(kept(), ElementsAre(1, 2, 3));
  values.take(record(1, 4, 1000), 1);
  EXPECT_THAT(kept(), ElementsAre(2, 3, 4));
  EXPECT_EQ(values.forgotten(), 0U);
  values.take(record(4, 5, 1000), 1);
  EXPECT_THAT(kept(), ElementsAre(3, 4, 5));
  EXPECT_EQ(values.forgotten(), 1U);
  values.take(record(1, 6, 5000), 1);
  EXPECT_THAT(kept(), ElementsAre(3, 5)) << "a value that is too large leaves no older one of its key";
  EXPECT_EQ(values.forgotten(), 2U);
}

TEST(PublishedInbox, HandsOutLastValuesThatCountForNothing) {
  const Topology made = topology(1);
  DirectInbox inbox(made, kReader, 1 << 20);
  inbox.set_peers({{kSender, "", {}, {0}}});
  wire::DirectHeader header;
  header.from = kSender.value();
  header.to = kReader.value();
  header.count = 3;
  header.type = MessageType::kRecordsLast;
  inbox.receive(header, nullptr, {});
  header.type = MessageType::kRecords;
  inbox.receive(header, nullptr, {});
  EXPECT_FALSE(inbox.through(kSender));
  auto event = inbox.take({});
  ASSERT_TRUE(event);
  EXPECT_TRUE(event->last_values);
  EXPECT_EQ(event->producer, kSender);
  EXPECT_EQ(event->delivery.batches[0].count, 3U);
  event = inbox.take({});
  ASSERT_TRUE(event);
  EXPECT_FALSE(event->last_values);
  EXPECT_EQ(event->missing, 0U);
  inbox.commit(1, {{0, kSender.value(), 3, 0}});
  EXPECT_TRUE(inbox.through(kSender));
}

}  // namespace
}  // namespace weir::host
