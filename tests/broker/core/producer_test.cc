// SPDX-License-Identifier: Apache-2.0
// Programs outside, under hand-made events: what they are told, and when.
#include <gtest/gtest.h>

#include "sdk/wire/batch.h"
#include "sdk/wire/map.h"
#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

/// A stream that is filled from outside, and a stage that reads it.
Topology outside_topology() {
  Topology topology = small_topology("outside");
  topology.streams = {small_stream("orders"), small_stream("inner")};
  topology.streams[0].external_in = true;
  topology.streams[0].backlog_bytes_max = 1 << 10;
  StageSpec work;
  work.name = "work";
  work.inputs = {{"in", 0}, {"in", 1}};
  topology.stages = {work};
  return topology;
}

class ProducerTest : public CoreFixture {
 protected:
  explicit ProducerTest(Topology topology = outside_topology()) : CoreFixture(std::move(topology)) { settle(); }

  /// Says `message` and gives the answers.
  std::vector<wire::MapReader> ask(wire::MapWriter message, const Client& client = "a") {
    const std::size_t before = out_.replies.size();
    core_.on_client(client, std::move(message).finish(), now_);
    core_.pump(now_);
    return answers(before);
  }
  std::vector<wire::MapReader> answers(std::size_t from) {
    std::vector<wire::MapReader> found;
    for (std::size_t i = from; i < out_.replies.size(); ++i) {
      auto map = wire::MapReader::parse(out_.replies[i]);
      EXPECT_TRUE(map.ok());
      found.push_back(std::move(*map));
    }
    return found;
  }
  std::int64_t open(const std::string& name, const Client& client = "a") {
    wire::MapWriter message("open");
    message.put("stream", "orders");
    if (!name.empty()) message.put("name", name);
    const auto got = ask(std::move(message), client);
    return got.size() == 1 && got[0].op() == "opened" ? got[0].integer("session", 0) : 0;
  }
  static wire::MapWriter publish(std::int64_t session, std::uint64_t number, std::size_t value_bytes = 1) {
    wire::MapWriter message("publish");
    message.put("session", session);
    message.put("number", number);
    msgpack::sbuffer records;
    msgpack::packer<msgpack::sbuffer> packer(records);
    packer.pack_array(1);
    packer.pack_array(2);
    packer.pack_nil();
    packer.pack(std::string(value_bytes, 'v'));
    message.put_packed("records", as_bytes({records.data(), records.size()}));
    return message;
  }
  /// The one answer is a refusal with `code`.
  static void expect_refused(const std::vector<wire::MapReader>& got, std::string_view code) {
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(got[0].op(), "refused");
    EXPECT_EQ(got[0].text("code"), code);
    EXPECT_NE(got[0].text("error"), "");
  }
};

TEST_F(ProducerTest, IsRefusedWhereItSpeaksAnotherVersionAndIsToldBoth) {
  wire::MapWriter message("open");
  message.put("stream", "orders");
  message.put("version", wire::kClientVersion + 1);
  const auto got = ask(std::move(message));
  expect_refused(got, "invalid");
  EXPECT_EQ(
      got[0].text("error"),
      "this broker speaks version 1 of the protocol of programs outside, the producer 2: install the same Weir on "
      "both sides");
  EXPECT_NE(open(""), 0) << "who says no version speaks the first";
}

TEST_F(ProducerTest, AcknowledgesOnlyWhatIsSettled) {
  const auto session = open("p");
  EXPECT_TRUE(ask(publish(session, 1)).empty());
  const std::size_t before = out_.replies.size();
  settle();
  const auto got = answers(before);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].op(), "acknowledged");
  EXPECT_EQ(got[0].integer("number", 0), 1);
}

TEST_F(ProducerTest, AnswersARepetitionNoSoonerThanTheOriginal) {
  const auto session = open("p");
  EXPECT_TRUE(ask(publish(session, 1)).empty());
  EXPECT_TRUE(ask(publish(session, 1)).empty()) << "it was not on disk yet";
  settle();
  const auto again = ask(publish(session, 1));
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].op(), "acknowledged");
  EXPECT_EQ(core_.ledger().stream(0).records_total(), 1U);
}

TEST_F(ProducerTest, NamesTheLastNumberOnlyOnceItIsSettled) {
  ask(publish(open("p"), 1));
  const std::size_t before = out_.replies.size();
  EXPECT_EQ(open("p"), 0) << "the producer would drop what may still be lost";
  settle();
  std::int64_t last = -1;
  for (const auto& answer : answers(before)) {
    if (answer.op() == "opened") last = answer.integer("last", -1);
  }
  EXPECT_EQ(last, 1);
}

TEST_F(ProducerTest, FencesTheFirstHolderOfANameByTheSecond) {
  const auto first = open("p", "a");
  open("p", "b");
  expect_refused(ask(publish(first, 1), "a"), "closed");
  EXPECT_EQ(core_.ledger().stream(0).records_total(), 0U);
}

TEST_F(ProducerTest, KeepsNamesApart) {
  ask(publish(open("p", "a"), 1), "a");
  ask(publish(open("q", "b"), 1), "b");
  EXPECT_EQ(core_.ledger().stream(0).records_total(), 2U);
}

TEST_F(ProducerTest, RefusesWithACodeThatSaysWhatToDo) {
  wire::MapWriter stranger("open");
  stranger.put("stream", "ordres");
  expect_refused(ask(std::move(stranger)), "unknown");
  wire::MapWriter closed("open");
  closed.put("stream", "inner");
  expect_refused(ask(std::move(closed)), "invalid");
  expect_refused(ask(publish(77, 1)), "closed");
  const auto session = open("");
  expect_refused(ask(publish(session, 3)), "order");
  wire::MapWriter empty("publish");
  empty.put("session", session);
  empty.put("number", 1);
  expect_refused(ask(std::move(empty)), "invalid");
  expect_refused(ask(wire::MapWriter("dance")), "invalid");
}

TEST_F(ProducerTest, AsksToTryAgainWhileTheStreamOrTheDiskIsFull) {
  const auto session = open("p");
  core_.set_space(true, false);
  expect_refused(ask(publish(session, 1)), "again");
  EXPECT_NE(core_.status_text().find("the disk is full"), std::string::npos);
  core_.set_space(false, false);
  EXPECT_EQ(core_.status_text().find("the disk is full"), std::string::npos);
  EXPECT_TRUE(ask(publish(session, 1, 2000)).empty());
  expect_refused(ask(publish(session, 2)), "again");
  EXPECT_EQ(core_.ledger().stream(0).records_total(), 1U);
}

/// Of 1 MiB of memory an eighth is for what is on its way to disk, a quarter for those who have nothing under way.
Topology in_little_memory() {
  Topology topology = outside_topology();
  topology.broker.memory_bytes = 1 << 20;
  topology.streams[0].backlog_bytes_max = 1 << 30;
  return topology;
}

class ProducersInLittleMemory : public ProducerTest {
 protected:
  static constexpr std::size_t kMuch = 100'000;
  ProducersInLittleMemory() : ProducerTest(in_little_memory()) {}
};

TEST_F(ProducersInLittleMemory, AreAskedToTryAgainWhileMuchIsOnItsWayToDisk) {
  const auto first = open("", "a");
  EXPECT_TRUE(ask(publish(first, 1, kMuch), "a").empty());
  EXPECT_TRUE(ask(publish(first, 2, kMuch), "a").empty());
  expect_refused(ask(publish(first, 3), "a"), "again");
  EXPECT_TRUE(ask(publish(open("", "b"), 1, kMuch), "b").empty()) << "it has nothing under way";
  expect_refused(ask(publish(open("", "c"), 1), "c"), "again");
  expect_refused(ask(publish(open("", "a"), 1), "a"), "again");
  EXPECT_EQ(core_.ledger().stream(0).records_total(), 3U);
  settle();
  EXPECT_TRUE(ask(publish(open("", "a"), 1, kMuch), "a").empty());
}

TEST_F(ProducerTest, IsRefusedWhereTooManyAreThereUntilOthersAreForgotten) {
  const auto client = [](int number) { return "client " + std::to_string(number); };
  int count = 0;
  while (count < 10'000 && open("", client(count)) != 0) ++count;
  EXPECT_EQ(count, 4096);
  wire::MapWriter message("open");
  message.put("stream", "orders");
  expect_refused(ask(std::move(message), "another"), "taken");
  EXPECT_NE(open("", client(0)), 0) << "who is there may open anew";
  for (int i = 0; i < 14; ++i) core_.tick(now_ += std::chrono::seconds(5));
  EXPECT_NE(open("", "another"), 0);
}

TEST_F(ProducerTest, LooksOnOnlyWhereNotTooManyDo) {
  const auto look = [&](int number) {
    wire::MapWriter tail("tail");
    tail.put("stream", "orders");
    return ask(std::move(tail), "person " + std::to_string(number));
  };
  int count = 0;
  while (count < 1'000 && look(count).at(0).op() == "records") ++count;
  EXPECT_EQ(count, 256);
  expect_refused(look(count), "taken");
  EXPECT_EQ(look(0).at(0).op(), "records") << "who looks on goes on";
  core_.tick(now_ += std::chrono::seconds(3));
  EXPECT_EQ(look(count).at(0).op(), "records");
}

TEST_F(ProducerTest, TakesNothingBehindTheEnd) {
  const auto session = open("p");
  ask(publish(session, 1));
  wire::MapWriter end("end");
  end.put("session", session);
  EXPECT_TRUE(ask(std::move(end)).empty()) << "the end was not on disk yet";
  settle();
  expect_refused(ask(publish(session, 2)), "ended");
  EXPECT_TRUE(core_.ledger().stream(0).external_ended);
}

TEST_F(ProducerTest, SaysOfAStreamThatHasEndedThatItHasAlsoWhereNothingElseHappens) {
  const auto end = [this](std::int64_t session, const std::string& client) {
    wire::MapWriter request("end");
    request.put("session", session);
    return ask(std::move(request), client);
  };
  end(open("p", "a"), "a");
  settle();
  const auto answers = end(open("q", "b"), "b");
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].op(), "ended");
}

TEST_F(ProducerTest, GivesARecordWithoutATimestampTheBrokersClock) {
  now_ += Monotonic(5'000'000);
  ask(publish(open("p"), 1));
  const auto frame = wire::FrameView::parse(core_.ledger().stream(0).slot(0).bytes.bytes);
  ASSERT_TRUE(frame.ok());
  wire::BatchReader reader(frame->bytes().subspan(frame->batches_start()));
  const auto record = reader.next();
  ASSERT_TRUE(record);
  EXPECT_EQ(record->timestamp, kStartedUs + 5'000'000);
}

TEST_F(ProducerTest, KeepsEveryValueAsItCame) {
  wire::MapWriter message("publish");
  message.put("session", open("p"));
  message.put("number", 1);
  // [[key, value]]: [1.0, {"a": [0.0 of single precision, -2.0, 3, nil, h'00', 7 of type 1]}]
  const std::string key = "\xcb\x3f\xf0" + std::string(6, '\0');
  const std::string value = "\x81\xa1" + std::string("a\x96\xca\0\0\0\0", 7) + "\xcb\xc0" + std::string(7, '\0') +
                            "\x03\xc0" + std::string("\xc4\x01\0", 3) + "\xd4\x01\x07";
  message.put_packed("records", as_bytes("\x91\x92" + key + value));
  EXPECT_TRUE(ask(std::move(message)).empty());
  const auto frame = wire::FrameView::parse(core_.ledger().stream(0).slot(0).bytes.bytes);
  ASSERT_TRUE(frame.ok());
  wire::BatchReader reader(frame->bytes().subspan(frame->batches_start()));
  const auto record = reader.next();
  ASSERT_TRUE(record);
  EXPECT_EQ(as_text(record->value), value);
  EXPECT_EQ(as_text(record->key), key);
}

TEST_F(ProducerTest, RemembersTheNamesThatWereUsedLast) {
  Ledger ledger(topology_);
  const auto use = [&](const std::string& name, std::uint64_t number) {
    Publish entry;
    entry.name = name;
    entry.number = number;
    Bytes payload = encode_header({EntryType::kPublish, {}, 0, 0});
    const Bytes body = encode(entry);
    payload.insert(payload.end(), body.begin(), body.end());
    const Sequence sequence = ledger.next_sequence();
    ASSERT_TRUE(ledger.apply(sequence, Buffer::of(std::move(payload)), Place{}, false).ok());
  };
  ASSERT_NO_FATAL_FAILURE(use("old, but used again", 1));
  for (std::size_t i = 2; i < Ledger::kProducersMax; ++i) ASSERT_NO_FATAL_FAILURE(use(std::to_string(i), 7));
  ASSERT_NO_FATAL_FAILURE(use("old, but used again", 2));
  ASSERT_NO_FATAL_FAILURE(use("the last that fits", 3));
  ASSERT_EQ(ledger.producers().size(), Ledger::kProducersMax) << "none is forgotten yet";
  ASSERT_NO_FATAL_FAILURE(use("one more", 4));
  EXPECT_LE(ledger.producers().size(), Ledger::kProducersMax);
  EXPECT_FALSE(ledger.producers().contains("2")) << "the one that was not used for the longest";
  for (const auto& [name, last] : std::map<std::string, std::uint64_t>{
           {"old, but used again", 2}, {"the last that fits", 3}, {"one more", 4}, {"65535", 7}}) {
    ASSERT_TRUE(ledger.producers().contains(name)) << name;
    EXPECT_EQ(ledger.producers().at(name).last, last) << name;
  }
}

TEST_F(ProducerTest, SaysThatANameMayHaveBeenForgottenToOneThatGoesOn) {
  const std::int64_t session = open("from long ago");
  const auto answers = ask(publish(session, 18));
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].text("code"), "order");
  EXPECT_NE(answers[0].text("error").find(
                "message 18 came where 1 is due (the name \"from long ago\" is new here, or has been forgotten"),
            std::string::npos)
      << answers[0].text("error");
}

}  // namespace
}  // namespace weir::core
