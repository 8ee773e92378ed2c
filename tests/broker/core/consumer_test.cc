// SPDX-License-Identifier: Apache-2.0
// Groups outside, under hand-made events: what is delivered, to whom, and when; what is acknowledged, and what refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "sdk/client/delivery.h"
#include "sdk/wire/map.h"
#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

constexpr std::uint64_t kPlenty = 1 << 20;

/// A stream of four shards that is filled from outside and read from outside, and a stage that has nothing to do.
Topology outside_topology() {
  Topology topology = small_topology("outside");
  topology.streams = {small_stream("orders"), small_stream("inner")};
  topology.streams[0].external_in = topology.streams[0].external_out = true;
  topology.streams[0].partition = PartitionBy::kModulo;
  topology.streams[0].shards = 4;
  topology.streams[0].backlog_bytes_max = 4 << 10;
  topology.streams[1].external_in = true;
  StageSpec work;
  work.name = "work";
  work.inputs = {{"in", 1}};
  topology.stages = {work};
  return topology;
}

class ConsumerTest : public CoreFixture {
 protected:
  ConsumerTest() : CoreFixture(outside_topology()) {
    settle();
    wire::MapWriter message("open");
    message.put("stream", "orders");
    session_ = ask(std::move(message), "producer")[0].integer("session", 0);
  }

  std::vector<wire::MapReader> ask(wire::MapWriter message, const Client& client = "a") {
    const std::size_t before = out_.replies.size();
    core_.on_client(client, std::move(message).finish(), now_);
    core_.pump(now_);
    read_back();
    return answers(before);
  }
  void settle() {
    CoreFixture::settle();
    read_back();
  }
  /// The journal gives what it is asked for: what nobody reads for leaves memory.
  void read_back() {
    while (!out_.asked_for.empty()) {
      const std::vector<std::uint64_t> frames = std::move(out_.asked_for);
      out_.asked_for.clear();
      for (const std::uint64_t frame : frames) {
        const FrameSlot& slot = core_.ledger().stream(0).slot(frame);
        const std::uint64_t first = out_.appended.value() - out_.payloads.size();
        const BytesView entry(out_.payloads[slot.sequence.value() - first]);
        const BytesView bytes = entry.subspan(slot.place.at, slot.place.size);
        core_.on_frame(0, frame, Bytes(bytes.begin(), bytes.end()));
      }
      core_.pump(now_);
    }
  }
  std::vector<wire::MapReader> answers(std::size_t from) {
    std::vector<wire::MapReader> found;
    for (std::size_t i = from; i < out_.replies.size(); ++i) found.push_back(*wire::MapReader::parse(out_.replies[i]));
    return found;
  }
  /// A record of shard `key` mod 4, not yet on disk.
  void produce(std::int64_t key, std::size_t value_bytes = 1) {
    wire::MapWriter message("publish");
    message.put("session", session_);
    message.put("number", ++produced_);
    msgpack::sbuffer records;
    msgpack::packer<msgpack::sbuffer> packer(records);
    packer.pack_array(1);
    packer.pack_array(2);
    packer.pack(key);
    packer.pack(std::string(value_bytes, 'v'));
    message.put_packed("records", as_bytes({records.data(), records.size()}));
    EXPECT_TRUE(ask(std::move(message), "producer").empty());
  }
  void end() {
    wire::MapWriter message("end");
    message.put("session", session_);
    ask(std::move(message), "producer");
  }
  static wire::MapWriter drop() {
    wire::MapWriter message("drop_group");
    message.put("stream", "orders");
    message.put("group", "bills");
    return message;
  }
  static wire::MapWriter consume(const std::string& group, const std::string& stream = "orders") {
    wire::MapWriter message("consume");
    message.put("stream", stream);
    message.put("group", group);
    return message;
  }
  /// A consumer with a session and credit.
  std::int64_t join(const Client& client, const std::string& group = "bills", std::uint64_t bytes = kPlenty,
                    std::uint64_t records = kPlenty) {
    const std::size_t before = out_.replies.size();
    ask(consume(group), client);
    settle();
    for (const auto& answer : answers(before)) {
      if (answer.op() != "consuming") continue;
      const std::int64_t session = answer.integer("session", 0);
      credit(client, session, bytes, records);
      return session;
    }
    ADD_FAILURE() << "no session";
    return 0;
  }
  std::vector<wire::MapReader> credit(const Client& client, std::int64_t session, std::uint64_t bytes,
                                      std::uint64_t records, std::uint64_t received = 0) {
    wire::MapWriter message("credit");
    message.put("session", session);
    message.put("bytes", bytes);
    message.put("records", records);
    message.put("received", received);
    return ask(std::move(message), client);
  }
  using Positions = std::vector<std::tuple<std::uint32_t, std::uint32_t, std::uint64_t>>;
  std::vector<wire::MapReader> acknowledge(const Client& client, std::int64_t session, const Positions& positions,
                                           std::uint64_t number = 1) {
    wire::MapWriter message("acknowledge");
    message.put("session", session);
    message.put("number", number);
    message.put("positions", positions);
    return ask(std::move(message), client);
  }
  /// What was delivered in `session` since the answer `from`, batch by batch.
  std::vector<client::Delivery::Batch> delivered(std::int64_t session, std::size_t from = 0) {
    std::vector<client::Delivery::Batch> found;
    for (std::size_t i = from; i < out_.replies.size(); ++i) {
      Bytes message = out_.replies[i];
      auto delivery = client::Delivery::parse(message);
      if (!delivery || delivery->session != session) continue;
      found.insert(found.end(), delivery->batches.begin(), delivery->batches.end());
      kept_.push_back(std::move(*delivery));
    }
    return found;
  }
  std::uint64_t records_delivered(std::int64_t session, std::size_t from = 0) {
    std::uint64_t count = 0;
    for (const auto& batch : delivered(session, from)) count += batch.count;
    return count;
  }
  static void expect_refused(const std::vector<wire::MapReader>& got, std::string_view code) {
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(got[0].op(), "refused");
    EXPECT_EQ(got[0].text("code"), code) << got[0].text("error");
    EXPECT_NE(got[0].text("error"), "");
  }
  [[nodiscard]] std::uint64_t waiting(const std::string& group) const {
    return core_.ledger().groups(0).at(group).records_backlog;
  }
  /// The ledger that a start reads back: out of a checkpoint of this one.
  [[nodiscard]] Ledger reread() {
    settle();
    std::vector<Ledger::Fixup> fixups;
    const Bytes bytes = core_.ledger().encode_checkpoint(fixups);
    Ledger again(topology_);
    const Status status = again.decode_checkpoint(bytes);
    EXPECT_TRUE(status.ok()) << status.error().message;
    return again;
  }

  std::int64_t session_ = 0;
  std::uint64_t produced_ = 0;
  std::vector<client::Delivery> kept_;
};

TEST_F(ConsumerTest, IsGivenARecordOnlyOnceItIsOnDisk) {
  const auto session = join("a");
  produce(1);
  EXPECT_EQ(records_delivered(session), 0U);
  settle();
  const auto batches = delivered(session);
  ASSERT_EQ(batches.size(), 1U);
  EXPECT_EQ(batches[0].shard, 1U);
  EXPECT_EQ(batches[0].offset, 0U);
}

TEST_F(ConsumerTest, HoldsBackProducersFromItsFirstRecordOn) {
  for (int i = 0; i < 3; ++i) produce(i, 1 << 10);
  settle();
  EXPECT_EQ(waiting(kUnclaimed), 3U) << "kept for the first group that comes";
  produce(3, 2 << 10);
  core_.tick(now_ += std::chrono::milliseconds(20));
  wire::MapWriter message("publish");
  message.put("session", session_);
  message.put("number", produced_ + 1);
  message.put_packed("records", as_bytes(std::string_view("\x91\x92\x01\x01")));
  expect_refused(ask(std::move(message), "producer"), "again");
  settle();
  const auto session = join("a");
  EXPECT_EQ(records_delivered(session), 4U);
  EXPECT_FALSE(core_.ledger().groups(0).contains(kUnclaimed)) << "the first group takes what nobody had come for";
  acknowledge("a", session, {{0, 1, 1}, {1, 1, 1}, {2, 1, 1}, {3, 1, 1}});
  settle();
  core_.tick(now_ += std::chrono::milliseconds(20));
  EXPECT_EQ(core_.ledger().stream(0).bytes_waiting(), 0U);
}

TEST_F(ConsumerTest, HearsOfAnAcknowledgementOnlyOnceItIsOnDisk) {
  const auto session = join("a");
  produce(1);
  settle();
  ASSERT_EQ(records_delivered(session), 1U);
  EXPECT_TRUE(acknowledge("a", session, {{1, 1, 1}}, 7).empty());
  EXPECT_TRUE(acknowledge("a", session, {{1, 1, 1}}, 8).empty()) << "a repetition no sooner than the first";
  const std::size_t before = out_.replies.size();
  settle();
  const auto got = answers(before);
  ASSERT_EQ(got.size(), 2U);
  EXPECT_EQ(got[0].op(), "acknowledged");
  EXPECT_EQ(got[0].integer("number", 0), 7);
  EXPECT_EQ(got[1].integer("number", 0), 8);
  EXPECT_EQ(waiting("bills"), 0U);
  EXPECT_EQ(reread().groups(0).at("bills").cursors[1].offset, 1U);
}

TEST_F(ConsumerTest, SharesTheShardsWithOthersOfItsGroup) {
  const auto first = join("a");
  for (int i = 0; i < 8; ++i) produce(i);
  settle();
  EXPECT_EQ(records_delivered(first), 8U);
  const auto second = join("b");
  for (int i = 0; i < 8; ++i) produce(i);
  settle();
  EXPECT_EQ(records_delivered(second), 0U) << "a shard goes once what its holder was sent of it is acknowledged";
  EXPECT_EQ(records_delivered(first), 12U) << "of those that go it gets no more";
  acknowledge("a", first, {{0, 1, 2}, {1, 1, 2}, {2, 1, 2}, {3, 1, 2}});
  settle();
  EXPECT_EQ(records_delivered(second), 4U);
  std::set<std::uint32_t> shards;
  for (const auto& batch : delivered(second)) {
    shards.insert(batch.shard);
    EXPECT_EQ(batch.epoch, 2U);
    EXPECT_GE(batch.offset, 2U);
  }
  EXPECT_EQ(shards.size(), 2U);
}

TEST_F(ConsumerTest, LosesItsShardsToOthersWhenItIsSilentAndIsFenced) {
  const auto first = join("a");
  produce(1);
  settle();
  ASSERT_EQ(records_delivered(first), 1U);
  for (int i = 0; i < 100; ++i) core_.tick(now_ += std::chrono::milliseconds(250));
  const auto second = join("b");
  EXPECT_EQ(records_delivered(second), 0U);
  for (int i = 0; i < 40; ++i) {
    credit("b", second, kPlenty, kPlenty);
    core_.tick(now_ += std::chrono::milliseconds(250));
  }
  settle();
  EXPECT_EQ(records_delivered(second), 1U) << "what was not acknowledged comes again";
  expect_refused(acknowledge("a", first, {{1, 1, 1}}), "closed");
  EXPECT_EQ(waiting("bills"), 1U);
}

TEST_F(ConsumerTest, KeepsItsShardsWhenItComesBackThoughItNeverHeardOfItsLastSession) {
  const auto named = [](const std::string& name) {
    wire::MapWriter message = consume("bills");
    message.put("consumer", name);
    return message;
  };
  const auto session_in = [&](std::size_t before) {
    settle();
    for (const auto& answer : answers(before)) {
      if (answer.op() == "consuming") return answer.integer("session", 0);
    }
    return std::int64_t{0};
  };
  std::size_t before = out_.replies.size();
  ask(named("mine"), "a1");
  const std::int64_t first = session_in(before);
  credit("a1", first, kPlenty, kPlenty);
  const auto other = join("b");
  for (int key = 0; key < 4; ++key) produce(key);
  settle();
  std::set<std::uint32_t> shards;
  for (const auto& batch : delivered(first)) shards.insert(batch.shard);
  ASSERT_EQ(shards.size(), 2U);
  ask(named("mine"), "a2");  // it gives up before the answer comes
  before = out_.replies.size();
  ask(named("mine"), "a3");
  const std::int64_t third = session_in(before);
  credit("a3", third, kPlenty, kPlenty);
  std::set<std::uint32_t> again;
  for (const auto& batch : delivered(third)) {
    again.insert(batch.shard);
    EXPECT_EQ(batch.offset, 0U) << "what was not acknowledged comes again";
  }
  EXPECT_EQ(again, shards);
  EXPECT_EQ(records_delivered(other), 2U);
  expect_refused(acknowledge("a1", first, {{*shards.begin(), 1, 1}}), "closed");
  expect_refused(ask(named(std::string(65, 'x')), "c"), "invalid");
}

TEST_F(ConsumerTest, GivesItsShardsBackAtOnceWhenItLeaves) {
  const auto first = join("a");
  const auto second = join("b");
  produce(0);
  settle();
  const bool had = records_delivered(first) == 1;
  wire::MapWriter message("leave");
  message.put("session", had ? first : second);
  EXPECT_EQ(ask(std::move(message), had ? "a" : "b")[0].op(), "left");
  EXPECT_EQ(records_delivered(had ? second : first), 1U);
}

TEST_F(ConsumerTest, IsRefusedAndEndedForWhatNoConsumerSays) {
  const auto bad = [&](const std::function<std::vector<wire::MapReader>(const Client&, std::int64_t)>& say) {
    static int clients = 0;
    const Client client = "c" + std::to_string(++clients);
    const auto session = join(client, "group" + std::to_string(clients), 1 << 12, 10);
    expect_refused(say(client, session), "invalid");
    expect_refused(acknowledge(client, session, {}), "closed");
  };
  produce(1);
  settle();
  bad([&](auto& client, auto session) { return acknowledge(client, session, {{1, 1, 2}}); });  // ahead of delivery
  bad([&](auto& client, auto session) { return acknowledge(client, session, {{1, 2, 1}}); });  // another epoch
  bad([&](auto& client, auto session) { return acknowledge(client, session, {{9, 1, 1}}); });  // no such shard
  bad([&](auto& client, auto session) { return acknowledge(client, session, {{1, 1, 1}, {1, 1, 1}}); });
  bad([&](auto& client, auto session) { return credit(client, session, 1 << 10, 10); });       // it goes back
  bad([&](auto& client, auto session) { return credit(client, session, 1 << 20, 1 << 20); });  // out of nothing
  bad([&](auto& client, auto session) { return credit(client, session, UINT64_MAX, 10); });
  bad([&](auto& client, auto session) { return credit(client, session, 1 << 12, 10, 99); });  // was not sent
  for (const char* positions :
       {"\xc0", "\x91\xc0", "\x91\x92\x01\x01", "\x91\x93\xff\x01\x01", "\x91\x93\xa1x\x01\x01"}) {
    bad([&](auto& client, auto session) {
      wire::MapWriter message("acknowledge");
      message.put("session", session);
      message.put_packed("positions", as_bytes(std::string_view(positions)));
      return ask(std::move(message), client);
    });
  }
}

TEST_F(ConsumerTest, IsRefusedAtTheDoorWithASentence) {
  expect_refused(ask(consume("bills", "ordres")), "unknown");
  expect_refused(ask(consume("bills", "inner")), "invalid");
  expect_refused(ask(consume("")), "invalid");
  expect_refused(ask(consume("No Name")), "invalid");
  expect_refused(ask(consume("work")), "taken");
  wire::MapWriter version = consume("bills");
  version.put("version", wire::kClientVersion + 1);
  expect_refused(ask(std::move(version)), "invalid");
  wire::MapWriter silence = consume("bills");
  silence.put("silence_ms", 1);
  expect_refused(ask(std::move(silence)), "invalid");
  EXPECT_TRUE(core_.ledger().groups(0).contains(kUnclaimed)) << "nothing of it was entered";
}

TEST_F(ConsumerTest, GetsNoMoreThanItsCredit) {
  const auto session = join("a", "bills", 1 << 20, 2);
  for (int i = 0; i < 5; ++i) produce(1);
  settle();
  EXPECT_EQ(records_delivered(session), 2U);
  credit("a", session, (1 << 20) + 16, 3);
  EXPECT_EQ(records_delivered(session), 3U);
  const auto narrow = join("b", "narrow", 1, 10);
  EXPECT_EQ(records_delivered(narrow), 1U) << "one record goes through whatever its size";
}

TEST_F(ConsumerTest, GoesOnInTheMiddleOfABatch) {
  wire::MapWriter message("publish");
  message.put("session", session_);
  message.put("number", ++produced_);
  message.put_packed("records", as_bytes(std::string_view("\x93\x92\x01\x0a\x92\x01\x0b\x92\x01\x0c")));
  ask(std::move(message), "producer");
  settle();
  const auto first = join("a", "bills", kPlenty, 2);
  ASSERT_EQ(records_delivered(first), 2U);
  acknowledge("a", first, {{1, 1, 1}});
  settle();
  wire::MapWriter leave("leave");
  leave.put("session", first);
  ask(std::move(leave));
  const auto second = join("b");
  const auto batches = delivered(second);
  ASSERT_EQ(batches.size(), 1U);
  EXPECT_EQ(batches[0].offset, 1U);
  EXPECT_EQ(batches[0].count, 2U);
  EXPECT_EQ(wire::BatchReader(batches[0].records).next()->value[0], std::byte{0x0b});
}

TEST_F(ConsumerTest, IsToldTheEndOnceEverythingIsAcknowledged) {
  const auto session = join("a");
  produce(1);
  end();
  settle();
  const auto told = [&](std::size_t from) {
    const auto all = answers(from);
    return std::any_of(all.begin(), all.end(), [](const auto& answer) { return answer.op() == "end"; });
  };
  EXPECT_FALSE(told(0));
  EXPECT_FALSE(core_.ledger().finished());
  acknowledge("a", session, {{1, 1, 1}});
  EXPECT_FALSE(told(0));
  settle();
  EXPECT_TRUE(told(0));
}

TEST_F(ConsumerTest, BeginsWhereItIsToldWhenItsGroupIsNew) {
  const auto first = join("a");
  produce(1);
  settle();
  EXPECT_EQ(records_delivered(first), 1U);
  const auto late = join("b", "audit");
  EXPECT_EQ(records_delivered(late), 1U) << "the oldest that is kept";
  wire::MapWriter message = consume("news");
  message.put("from", "end");
  ask(std::move(message), "c");
  settle();
  EXPECT_EQ(waiting("news"), 0U);
}

TEST_F(ConsumerTest, IsForgottenWithWhatOnlyItHasWaitedFor) {
  expect_refused(ask(drop()), "unknown");
  const auto session = join("a");
  produce(1);
  settle();
  expect_refused(ask(drop()), "taken");
  wire::MapWriter leave("leave");
  leave.put("session", session);
  ask(std::move(leave));
  const std::size_t before = out_.replies.size();
  ask(drop());
  settle();
  const auto got = answers(before);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].op(), "group_dropped");
  EXPECT_EQ(got[0].integer("records", 0), 1);
  core_.tick(now_ += std::chrono::milliseconds(20));
  EXPECT_EQ(core_.ledger().stream(0).bytes_waiting(), 0U);
  EXPECT_EQ(waiting(kUnclaimed), 0U);
  produce(1);
  settle();
  EXPECT_EQ(records_delivered(join("b")), 1U) << "the next first group gets what came behind it";
  const Ledger again = reread();
  EXPECT_EQ(again.groups(0).at("bills").records_backlog, 1U);
}

TEST_F(ConsumerTest, HasNoGroupThatItsEntriesDoNotAllow) {
  join("a");
  produce(1);
  settle();
  using What = GroupMoved::What;
  const auto refused = [&](const GroupMoved& moved) {
    Ledger ledger = reread();
    Bytes payload = encode_header({EntryType::kGroup});
    ByteWriter(payload).raw(encode(moved));
    return ledger.apply(ledger.next_sequence(), Buffer::of(std::move(payload)), {1, 4096, 0, 0}, false);
  };
  const std::vector<GroupMoved::To> start = {{0, 0}, {1, 0}, {2, 0}, {3, 0}};
  EXPECT_TRUE(refused({What::kEntered, 0, "other", start}).ok());
  EXPECT_TRUE(refused({What::kConsumed, 0, "bills", {{1, 1}}}).ok());
  EXPECT_FALSE(refused({What::kEntered, 0, "bills", start}).ok()) << "it is there";
  EXPECT_FALSE(refused({What::kEntered, 0, "", start}).ok());
  EXPECT_FALSE(refused({What::kEntered, 0, "other", {{0, 0}}}).ok()) << "shards are missing";
  EXPECT_FALSE(refused({What::kEntered, 0, "other", {{0, 0}, {1, 2}, {2, 0}, {3, 0}}}).ok()) << "no such record";
  EXPECT_FALSE(refused({What::kConsumed, 0, "other", {{1, 1}}}).ok()) << "no such group";
  EXPECT_FALSE(refused({What::kConsumed, 0, "bills", {{1, 2}}}).ok());
  EXPECT_FALSE(refused({What::kConsumed, 0, "bills", {{4, 0}}}).ok());
  EXPECT_FALSE(refused({What::kDropped, 0, "other", {}}).ok());
}

TEST_F(ConsumerTest, ReadsCheckpointsFromBeforeThereWereGroupsOutside) {
  Topology before = outside_topology();
  before.streams[0].external_out = false;
  before.stages[0].inputs.push_back({"in", 0});
  Ledger ledger(before);
  std::vector<Ledger::Fixup> fixups;
  Bytes bytes = ledger.encode_checkpoint(fixups);
  bytes.resize(bytes.size() - 2 * before.streams.size() * (sizeof(std::uint32_t) + sizeof(std::uint64_t)) -
               ledger.units().size() - before.stages.size() * (sizeof(std::uint32_t) + sizeof(std::uint8_t)));
  constexpr std::uint32_t kVersion = 4;
  std::memcpy(bytes.data(), &kVersion, sizeof(kVersion));
  Ledger again(before);
  const Status status = again.decode_checkpoint(bytes);
  EXPECT_TRUE(status.ok()) << status.error().message;
}

}  // namespace
}  // namespace weir::core
