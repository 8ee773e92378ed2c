// SPDX-License-Identifier: Apache-2.0
// What comes over a wire may be anything: a decoder takes all of it or refuses, and reads nothing else. Each input lies
// in a heap block of exactly its size, so that a build with AddressSanitizer proves the second half.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <random>

#include "sdk/wire/batch.h"
#include "sdk/wire/changes.h"
#include "sdk/wire/commit.h"
#include "sdk/wire/direct.h"
#include "sdk/wire/frame.h"
#include "sdk/wire/messages.h"

namespace weir::wire {
namespace {

using Decoder = std::function<bool(BytesView)>;

bool decodes(const Decoder& decode, BytesView bytes) {
  const std::unique_ptr<std::byte[]> block(new std::byte[bytes.size()]);
  std::copy(bytes.begin(), bytes.end(), block.get());
  return decode({block.get(), bytes.size()});
}

/// Whole: taken. Every truncation and any byte more: refused. Damaged: whatever, within bounds.
void expect_exact(const Decoder& decode, const Bytes& whole) {
  EXPECT_TRUE(decodes(decode, whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(decodes(decode, BytesView(whole).first(size))) << size << " of " << whole.size() << " bytes";
  }
  Bytes longer = whole;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(decodes(decode, longer));
  std::mt19937_64 random(1);
  for (int i = 0; i < 5000; ++i) {
    Bytes damaged = whole;
    for (std::uint64_t hits = 1 + random() % 4; hits > 0; --hits) {
      damaged[random() % damaged.size()] = static_cast<std::byte>(random() % 3 == 0 ? 0xff : random());
    }
    decodes(decode, damaged);
  }
}

Bytes batch_of(int records) {
  Bytes batch;
  for (int i = 0; i < records; ++i) {
    const std::byte number{static_cast<unsigned char>(i)};
    append_record(batch, {i, {&number, 1}, {&number, 1}, i % 2 == 1 ? BytesView(&number, 1) : BytesView()});
  }
  return batch;
}

Bytes frame_of(std::uint32_t stream) {
  const Bytes first = batch_of(2);
  const Bytes second = batch_of(3);
  Bytes frame(sizeof(FrameHeader) + 2 * sizeof(BatchHeader));
  const FrameHeader header{stream, 2, 5, 0};
  const BatchHeader batches[] = {{1, 2, static_cast<std::uint32_t>(first.size()), 0, 0, 7},
                                 {4, 3, static_cast<std::uint32_t>(second.size()), 0, 0, 8}};
  std::memcpy(frame.data(), &header, sizeof(header));
  std::memcpy(frame.data() + sizeof(header), batches, sizeof(batches));
  ByteWriter(frame).raw(first);
  ByteWriter(frame).raw(second);
  return frame;
}

bool frame_decodes(BytesView bytes) {
  const auto view = FrameView::parse(bytes);
  if (!view.ok()) return false;
  std::size_t at = view->batches_start();
  for (std::uint32_t i = 0; i < view->header().batches; ++i) {
    BatchReader reader(view->bytes().subspan(at, view->batch(i).bytes));
    while (reader.next()) {
    }
    at += view->batch(i).bytes;
  }
  return at == bytes.size();
}

TEST(Frame, TakesWhatAddsUpAndNothingElse) { expect_exact(frame_decodes, frame_of(3)); }

TEST(Frame, HoldsWhatTheBrokerFillsIn) {
  Bytes frame = frame_of(3);
  patch_watermark(frame, -77);
  patch_offset(frame, 0, Offset(10));
  patch_offset(frame, 1, Offset(1ULL << 40));
  const auto view = FrameView::parse(frame);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->header().stream, 3U);
  EXPECT_EQ(view->header().watermark, -77);
  EXPECT_EQ(view->batch(0).offset, 10U);
  EXPECT_EQ(view->batch(0).origin_us, 7);
  EXPECT_EQ(view->batch(1).offset, 1ULL << 40);
  EXPECT_EQ(view->batch(1).shard, 4U);
}

TEST(Frame, RefusesAnEmptyBatchAndSizesThatOverflow) {
  Bytes frame = frame_of(3);
  const auto set = [&](std::size_t at, std::uint32_t value) { std::memcpy(frame.data() + at, &value, sizeof(value)); };
  set(sizeof(FrameHeader) + 4, 0);
  set(sizeof(FrameHeader) + sizeof(BatchHeader) + 4, 5);
  EXPECT_FALSE(FrameView::parse(frame).ok());
  frame = frame_of(3);
  set(sizeof(FrameHeader) + 8, UINT32_MAX);
  set(sizeof(FrameHeader) + sizeof(BatchHeader) + 8, UINT32_MAX);
  EXPECT_FALSE(FrameView::parse(frame).ok());
  frame = frame_of(3);
  set(4, UINT32_MAX);
  EXPECT_FALSE(FrameView::parse(frame).ok());
}

TEST(Commit, ComesBackAsItWent) {
  Bytes changes;
  append_change(changes, {Space::kState, as_bytes("n"), as_bytes("k"), as_bytes("v")});
  Commit commit;
  commit.transaction = 9;
  commit.consumed = {{1, 2, 3, 4}};
  commit.advanced = {{5, -6}};
  commit.splits = {{7, true, as_bytes("position")}};
  commit.splits_found = {"a", ""};
  commit.enumeration_ended = true;
  commit.finished = {8, 9};
  commit.counters = {{1, 2, 3, 4, 5}};
  commit.causes = {{1, true, "utf8", 6}};
  commit.changes = {{1, 2, changes}};
  const Bytes frame = frame_of(0);
  const Bytes other = frame_of(1);
  Bytes body;
  encode(commit, {frame, other}, body);
  expect_exact(
      [](BytesView bytes) {
        const auto decoded = decode_commit(bytes, 0);
        if (!decoded.ok()) return false;
        for (const FrameAt& at : decoded->frames) frame_decodes(bytes.subspan(at.position, at.size));
        for (const ChangesOf& of : decoded->changes) {
          ChangesReader reader(of.bytes);
          while (reader.next()) {
          }
        }
        return true;
      },
      body);
  Bytes shifted(5);
  encode(commit, {frame, other}, shifted);
  const auto decoded = decode_commit(shifted, 5);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->transaction, 9U);
  EXPECT_EQ(decoded->consumed[0].to, 4U);
  EXPECT_EQ(decoded->advanced[0].watermark, -6);
  EXPECT_EQ(as_text(decoded->splits[0].position), "position");
  EXPECT_EQ(decoded->splits_found, commit.splits_found);
  EXPECT_TRUE(decoded->enumeration_ended);
  EXPECT_EQ(decoded->finished, commit.finished);
  EXPECT_EQ(decoded->counters[0].late, 5U);
  EXPECT_EQ(decoded->causes[0].cause, "utf8");
  EXPECT_EQ(Bytes(decoded->changes[0].bytes.begin(), decoded->changes[0].bytes.end()), changes);
  ASSERT_EQ(decoded->frames.size(), 2U);
  const FrameAt& at = decoded->frames[1];
  EXPECT_EQ(Bytes(shifted.begin() + static_cast<std::ptrdiff_t>(at.position),
                  shifted.begin() + static_cast<std::ptrdiff_t>(at.position + at.size)),
            other);
  EXPECT_FALSE(decode_commit(shifted, shifted.size() + 1).ok());
}

TEST(Commit, HasWhatGoesPastTheBrokerBehindItsFramesOrNothingThere) {
  Commit commit;
  commit.transaction = 9;
  const Bytes frame = frame_of(0);
  Bytes without;
  encode(commit, {frame}, without);
  commit.emitted = {{3, 4, 50}};
  commit.taken = {{5, 6, 7, 1}};
  Bytes body;
  encode(commit, {frame}, body);
  const auto decoded = decode_commit(body, 0);
  ASSERT_TRUE(decoded.ok());
  ASSERT_EQ(decoded->emitted.size(), 1U);
  EXPECT_EQ(decoded->emitted[0].bytes, 50U);
  ASSERT_EQ(decoded->taken.size(), 1U);
  EXPECT_EQ(decoded->taken[0].producer, 6U);
  EXPECT_EQ(decoded->taken[0].lost, 1U);
  // It is whole without, as those of earlier versions are; any other end is refused.
  for (std::size_t size = 0; size < body.size(); ++size)
    EXPECT_EQ(decode_commit(BytesView(body).first(size), 0).ok(), size == without.size()) << size;
  Bytes empty = without;
  empty.resize(empty.size() + 2 * sizeof(std::uint32_t));
  EXPECT_FALSE(decode_commit(empty, 0).ok()) << "there are two ways to say nothing";
}

TEST(Commit, SaysBehindThatToHowManyItPublishes) {
  Commit commit;
  commit.transaction = 9;
  commit.emitted = {{3, 4, 50}, {4, 1, 20}};
  Bytes without;
  encode(commit, {}, without);
  commit.published = {{3, 2}};
  Bytes body;
  encode(commit, {}, body);
  const auto decoded = decode_commit(body, 0);
  ASSERT_TRUE(decoded.ok());
  ASSERT_EQ(decoded->published.size(), 1U);
  EXPECT_EQ(decoded->readers(3), 2U);
  EXPECT_EQ(decoded->readers(4), 1U) << "what is not published goes to one";
  for (std::size_t size = without.size() + 1; size < body.size(); ++size)
    EXPECT_FALSE(decode_commit(BytesView(body).first(size), 0).ok()) << size;
  Bytes empty = without;
  empty.resize(empty.size() + sizeof(std::uint32_t));
  EXPECT_FALSE(decode_commit(empty, 0).ok()) << "there are two ways to say nothing";
}

TEST(Commit, RefusesAnEmptyRange) {
  Commit commit;
  commit.consumed = {{0, 0, 4, 4}};
  Bytes body;
  encode(commit, {}, body);
  EXPECT_FALSE(decode_commit(body, 0).ok());
}

TEST(Messages, AreTakenWholeOrRefused) {
  Lease lease;
  lease.kind = LeaseKind::kSplit;
  lease.split = "part 1";
  lease.position = as_bytes("here");
  expect_exact([](BytesView bytes) { return decode_leases(bytes).ok(); }, encode_leases({lease, lease}));
  expect_exact([](BytesView bytes) { return decode_state(bytes).ok(); }, encode_state({1, 2, true, as_bytes("abc")}));
  expect_exact([](BytesView bytes) { return decode_local(bytes).ok(); }, encode_local({{1, 2, 3}, {4, 5, 6}}));
  expect_exact([](BytesView bytes) { return decode_totals(bytes).ok(); }, encode_totals({1, 2}));
  expect_exact([](BytesView bytes) { return decode_peers(bytes).ok(); },
               encode_peers({1, {{Incarnation(2), "ipc:///run/w.ipc", {3}, {4, 5}}, {Incarnation(6), "", {}, {}}}}));
  expect_exact([](BytesView bytes) { return decode_routed(bytes).ok(); }, encode_routed({1, {{2, Incarnation(3), 4}}}));
  expect_exact([](BytesView bytes) { return decode_shards(bytes).ok(); }, encode_shards({1, 2, 3}));
  expect_exact([](BytesView bytes) { return decode_sentence(bytes).ok(); }, encode_sentence("why"));
  Measured measured;
  measured.process_buckets = {1, 2};
  expect_exact([](BytesView bytes) { return decode_measured(bytes).ok(); }, encode_measured(measured));
  const Bytes records = batch_of(2);
  Bytes delivery;
  ByteWriter writer(delivery);
  writer.put(std::uint32_t{1});
  const DeliveryHeader header{0, 1, 2, static_cast<std::uint32_t>(records.size()), 0, 0, 0};
  writer.raw(std::as_bytes(std::span(&header, 1)));
  writer.raw(records);
  expect_exact([](BytesView bytes) { return decode_delivery(bytes).ok(); }, delivery);
}

TEST(Direct, IsToldFromWhatTheBrokerSaysAndFromOtherVersions) {
  DirectHeader header;
  header.type = MessageType::kRecords;
  header.from = 1;
  header.to = 2;
  header.count = 3;
  const Bytes message = direct_message(header, as_bytes("records"));
  const auto decoded = decode_direct(message);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->count, 3U);
  EXPECT_EQ(as_text(records_of(message)), "records");
  EXPECT_FALSE(decode_direct(BytesView(message).first(sizeof(header) - 1)));
  EXPECT_FALSE(decode_direct(wire::message({MessageType::kDeliver, kWireVersion, 0, 1, 2}, message)));
  header.type = MessageType::kRecordsLast;
  EXPECT_TRUE(decode_direct(direct_message(header)));
  header.version = kWireVersion + 1;
  EXPECT_FALSE(decode_direct(direct_message(header)));
}

TEST(Changes, BesideStateAreFoundAmongThoseOfItAndNothingMalformedIsPassedOver) {
  const Bytes key = {std::byte{1}};
  const Bytes value = {std::byte{2}, std::byte{3}};
  Bytes changes;
  std::vector<std::size_t> borders = {0};
  for (const Space space : {Space::kState, Space::kParked, Space::kState, Space::kState, Space::kPosition}) {
    append_change(changes, {space, as_bytes("name"), key,
                            space == Space::kParked ? std::nullopt : std::optional<BytesView>(value)});
    borders.push_back(changes.size());
  }
  ChangesReader beside(changes);
  const auto parked = beside.next_beside_state();
  ASSERT_TRUE(parked);
  EXPECT_EQ(parked->space, Space::kParked);
  EXPECT_FALSE(parked->value);
  EXPECT_TRUE(beside.passed_state());
  const auto position = beside.next_beside_state();
  ASSERT_TRUE(position);
  EXPECT_EQ(position->space, Space::kPosition);
  EXPECT_TRUE(std::ranges::equal(*position->value, value));
  EXPECT_FALSE(beside.next_beside_state());
  EXPECT_TRUE(beside.ok());
  for (std::size_t size = 0; size < changes.size(); ++size) {
    ChangesReader reader(BytesView(changes).first(size));
    while (reader.next_beside_state()) {
    }
    EXPECT_EQ(reader.ok(), std::find(borders.begin(), borders.end(), size) != borders.end()) << size;
  }
  changes[0] = std::byte{9};  // no space
  ChangesReader unknown(changes);
  EXPECT_FALSE(unknown.next_beside_state());
  EXPECT_FALSE(unknown.ok());
}

TEST(Batch, StopsAtTheFirstMalformedRecord) {
  const Bytes batch = batch_of(4);
  BatchReader whole(batch);
  int records = 0;
  std::vector<std::size_t> borders = {0};
  while (const auto record = whole.next()) {
    EXPECT_EQ(record->timestamp, records);
    EXPECT_EQ(record->headers.size(), static_cast<std::size_t>(records % 2));
    ++records;
    borders.push_back(whole.position());
  }
  EXPECT_TRUE(whole.ok());
  EXPECT_EQ(records, 4);
  for (std::size_t size = 0; size < batch.size(); ++size) {
    BatchReader reader(BytesView(batch).first(size));
    while (reader.next()) {
    }
    EXPECT_EQ(reader.ok(), std::find(borders.begin(), borders.end(), size) != borders.end()) << size;
  }
}

}  // namespace
}  // namespace weir::wire
