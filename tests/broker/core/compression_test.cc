// SPDX-License-Identifier: Apache-2.0
// Compressed batches pass the broker as they are, and what is left of one goes with a word on which records are meant.
#include <gtest/gtest.h>

#include "sdk/wire/frame_writer.h"
#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

constexpr std::uint32_t kRecords = 20;
constexpr std::uint32_t kLz4 = static_cast<std::uint32_t>(Compression::kLz4);

Topology compressed(PartitionBy partition, Dispatch dispatch, std::uint32_t workers) {
  Topology topology = small_topology("compressed");
  Stream stream = small_stream("lines");
  stream.partition = partition;
  stream.shards = 1;
  stream.dispatch = dispatch;
  if (dispatch == Dispatch::kPriority) stream.priority.weights = {1};
  stream.compression = Compression::kLz4;
  stream.external_in = true;
  topology.streams = {stream};
  topology.stages = {source_stage(), working_stage(workers)};
  return topology;
}

class CompressionTest : public CoreFixture, public testing::WithParamInterface<std::pair<PartitionBy, Dispatch>> {
 protected:
  CompressionTest() : CoreFixture(compressed(GetParam().first, GetParam().second, 1)) {}

  /// So many records, the timestamp of each its number.
  Bytes publish(Peer& source) {
    Bytes records;
    const std::string value = "\xd9\x40" + std::string(64, 'x');
    for (std::uint32_t i = 0; i < kRecords; ++i)
      wire::append_record(records, {i, wire::nil_bytes(), as_bytes(value), {}});
    wire::Compressor compressor(Compression::kLz4);
    Bytes frame;
    wire::FrameWriter writer(0, 1, frame, compressor);
    writer.add(0, kRecords, records, 0);
    writer.finish();
    commit(source, {}, {BytesView(frame)});
    frame_ = frame;
    return frame;
  }
  /// The last delivery to a worker: its header, and the numbers of the records that are meant.
  std::pair<wire::DeliveryHeader, std::vector<Timestamp>> delivered(const Peer& peer) {
    // What is cold is read back.
    for (; frames_read_ < out_.asked_for.size(); ++frames_read_)
      core_.on_frame(0, out_.asked_for[frames_read_], Bytes(frame_));
    core_.pump(now_);
    for (auto sent = out_.sent.rbegin(); sent != out_.sent.rend(); ++sent) {
      if (sent->to != peer.incarnation || sent->header.type != MessageType::kDeliver) continue;
      const auto delivery = wire::decode_delivery(wire::body_of(sent->message));
      const wire::DeliveryHeader header = delivery->batches.back();
      const auto plain = decompressor_.records(header.compression, delivery->records.back(), 1 << 20);
      EXPECT_TRUE(plain.ok());
      std::vector<Timestamp> numbers;
      wire::BatchReader reader(*plain);
      while (const auto record = reader.next()) numbers.push_back(record->timestamp);
      numbers.erase(numbers.begin(), numbers.begin() + header.skip);
      numbers.resize(header.count);
      return {header, numbers};
    }
    ADD_FAILURE() << "nothing was delivered";
    return {{}, {-1}};
  }

  wire::Decompressor decompressor_;
  Bytes frame_;
  std::size_t frames_read_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Intake, CompressionTest,
                         testing::Values(std::pair(PartitionBy::kHash, Dispatch::kLeastLoaded),
                                         std::pair(PartitionBy::kNone, Dispatch::kLeastLoaded),
                                         std::pair(PartitionBy::kNone, Dispatch::kPriority)));

TEST_P(CompressionTest, PassesABatchOnAsItIs) {
  Peer source = ready("read");
  Peer work = ready("work");
  const Bytes frame = publish(source);
  const auto [header, numbers] = delivered(work);
  EXPECT_EQ(header.compression, kLz4);
  EXPECT_EQ(header.count, kRecords);
  EXPECT_EQ(header.skip, 0U);
  EXPECT_EQ(header.cut, 0U);
  EXPECT_EQ(header.bytes, wire::FrameView::parse(frame)->batch(0).bytes);
}

TEST_P(CompressionTest, SaysWhichRecordsOfABatchAreMeantWhereSomeWereCommitted) {
  Peer source = ready("read");
  Peer work = ready("work");
  publish(source);
  wire::Commit done;
  done.consumed = {{0, 0, 0, 7}};
  commit(work, done);
  settle();
  core_.on_died(1, 0, 100, now_, std::nullopt);
  work = ready("work");
  const auto [header, numbers] = delivered(work);
  EXPECT_EQ(header.offset, 7U);
  EXPECT_EQ(header.count, kRecords - 7);
  EXPECT_EQ(header.skip, 7U);
  EXPECT_EQ(header.cut, 1U);
  EXPECT_EQ(numbers.front(), 7);
  EXPECT_EQ(numbers.back(), kRecords - 1);
}

TEST_P(CompressionTest, DeliversARecordAloneThatKilledItsWorker) {
  Peer source = ready("read");
  Peer work = ready("work");
  publish(source);
  settle();
  core_.on_died(1, 0, 100, now_, FatalRecord{0, 0, 5, 0, "signal 11 (SIGSEGV)", {}, false});
  work = ready("work");
  wire::Commit done;
  done.consumed = {{0, 0, 0, 5}};
  ASSERT_EQ(delivered(work).first.count, 5U);
  commit(work, done);
  const auto [header, numbers] = delivered(work);
  EXPECT_EQ(header.offset, 5U);
  EXPECT_EQ(numbers, std::vector<Timestamp>{5});
}

TEST_P(CompressionTest, CompressesWhatComesFromOutsideAndShowsItPlain) {
  const auto ask = [&](wire::MapWriter message) {
    const std::size_t before = out_.replies.size();
    core_.on_client("producer", std::move(message).finish(), now_);
    core_.pump(now_);
    settle();
    return out_.replies.size() > before ? out_.replies.back() : Bytes();
  };
  wire::MapWriter open("open");
  open.put("stream", "lines");
  const std::int64_t session = wire::MapReader::parse(ask(std::move(open)))->integer("session", 0);
  wire::MapWriter publish("publish");
  publish.put("session", session);
  publish.put("number", 1);
  const std::string value = "\xd9\xf0" + std::string(240, 'y');
  std::string records = "\x94";
  for (int i = 0; i < 4; ++i) records += "\x92\x01" + value;
  publish.put_packed("records", as_bytes(records));
  ask(std::move(publish));
  const auto frame = wire::FrameView::parse(core_.ledger().stream(0).slot(0).bytes.bytes);
  ASSERT_TRUE(frame.ok());
  EXPECT_EQ(frame->batch(0).compression, kLz4);
  EXPECT_LT(frame->bytes().size(), 200U);
  wire::MapWriter tail("tail");
  tail.put("stream", "lines");
  tail.put("from", "start");
  const auto answer = wire::MapReader::parse(ask(std::move(tail)));
  ASSERT_TRUE(answer.ok());
  const msgpack::object* shown = answer->find("records");
  ASSERT_NE(shown, nullptr);
  ASSERT_EQ(shown->via.array.size, 4U);
  EXPECT_EQ(shown->via.array.ptr[3].via.array.ptr[1].as<std::string>(), std::string(240, 'y'));
}

}  // namespace
}  // namespace weir::core
