// SPDX-License-Identifier: Apache-2.0
// A stream that learns where its shards begin: how its records are dealt out, and how its group follows when that
// moves.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sdk/wire/changes.h"
#include "sdk/wire/frame_writer.h"
#include "sdk/wire/map.h"
#include "tests/broker/core/core_fixture.h"
#include "weir/encode.h"

namespace weir::core {
namespace {

constexpr std::uint32_t kShards = 2;
constexpr std::uint32_t kWork = 1;

Topology learning() {
  Topology topology = small_topology("learning");
  topology.broker.segment_bytes = 16 << 20;
  topology.streams = {small_stream("orders"), small_stream("counts")};
  topology.streams[0].partition = PartitionBy::kRange;
  topology.streams[0].learns_boundaries = true;
  topology.streams[0].shards = kShards;
  StageSpec work = working_stage(2);
  work.keyed = true;
  work.outputs = {{"out", 1}};
  topology.stages = {source_stage(), work};
  return topology;
}

Bytes key_bytes(std::uint64_t key) {
  std::string packed;
  encode_natural(packed, key);
  const BytesView bytes = as_bytes(packed);
  return {bytes.begin(), bytes.end()};
}

class Boundaries : public CoreFixture {
 protected:
  explicit Boundaries(CoreOptions options = {}) : CoreFixture(learning(), std::move(options)) {}

  /// As a worker sends them: all in shard 0.
  static Bytes frame(const std::vector<std::uint64_t>& keys) {
    Bytes batch;
    for (const std::uint64_t key : keys) wire::append_record(batch, {0, key_bytes(key), wire::nil_bytes(), {}});
    const wire::FrameHeader header{0, 1, keys.size(), 0};
    const wire::BatchHeader entry{
        0, static_cast<std::uint32_t>(keys.size()), static_cast<std::uint32_t>(batch.size()), 0, 0, 0};
    Bytes whole;
    ByteWriter writer(whole);
    writer.raw(std::as_bytes(std::span(&header, 1)));
    writer.raw(std::as_bytes(std::span(&entry, 1)));
    writer.raw(batch);
    return whole;
  }
  void emit(const std::vector<std::uint64_t>& keys) {
    commit(source_, {}, {frame(keys)});
    settle();
  }
  /// As often as it takes for something to be learned of them, or to move.
  void emit_often(const std::vector<std::uint64_t>& keys) {
    std::vector<std::uint64_t> many;
    while (many.size() < 2 * KeySample::kKeysMax) many.insert(many.end(), keys.begin(), keys.end());
    for (std::size_t at = 0; at < many.size(); at += 1024)
      emit({many.begin() + static_cast<std::ptrdiff_t>(at),
            many.begin() + static_cast<std::ptrdiff_t>(std::min(many.size(), at + 1024))});
  }
  void pass(Monotonic time) {
    for (const Monotonic end = now_ + time; now_ < end;) {
      now_ += Monotonic(100'000);
      say(source_, MessageType::kPulse, {});
      --source_.sent;
      core_.tick(now_);
      settle();
    }
  }
  [[nodiscard]] std::uint64_t end(std::uint32_t shard) const { return core_.ledger().stream(0).next_offset(shard); }
  [[nodiscard]] const std::vector<Boundary>& boundaries() const { return core_.ledger().stream(0).boundaries; }
  [[nodiscard]] std::uint64_t moves() const { return core_.ledger().stream(0).boundary_moves; }
  [[nodiscard]] const std::optional<Relocation>& relocation() const { return core_.ledger().units()[kWork].relocation; }
  /// Offsets up to which the worker has been sent records of a shard.
  [[nodiscard]] std::uint64_t delivered(const Peer& peer, std::uint32_t shard) const {
    std::uint64_t to = 0;
    for (const Recorder::Sent& sent : out_.sent) {
      if (sent.to != peer.incarnation || sent.header.type != MessageType::kDeliver) continue;
      const auto delivery = wire::decode_delivery(wire::body_of(sent.message));
      for (const wire::DeliveryHeader& batch : delivery->batches)
        if (batch.shard == shard) to = std::max(to, batch.offset + batch.count);
    }
    return to;
  }
  static Bytes put(std::uint64_t key, std::string_view value) {
    const Bytes packed = key_bytes(key);
    Bytes changes;
    wire::append_change(changes, {wire::Space::kState, {}, packed, as_bytes(value)});
    return changes;
  }
  /// What is restored is what `state` says: the core reads it, and this answers for the disk.
  void answer_restore(const RestoreJob& asked, const std::vector<std::pair<std::uint32_t, Bytes>>& state) {
    RestoreJob job = asked;
    for (const std::uint32_t lane : job.lanes) {
      for (const auto& [at, changes] : state)
        if (at == lane) core_.on_state(job.incarnation, {kWork, lane, false, changes, false, 0, job.ahead});
      core_.on_state(job.incarnation, {kWork, lane, true, {}, false, 0, job.ahead});
    }
    job.finished = true;
    core_.on_restored(std::move(job));
    core_.pump(now_);
    settle();
  }
  /// Frames that were asked for are read back.
  void answer_reads() {
    std::vector<Bytes> frames;
    for (const Bytes& payload : out_.payloads) {
      if (decode_header(payload)->type != EntryType::kTransaction) continue;
      const auto commit = wire::decode_commit(payload, sizeof(EntryHeader));
      for (const wire::FrameAt& at : commit->frames)
        frames.emplace_back(payload.begin() + static_cast<std::ptrdiff_t>(at.position),
                            payload.begin() + static_cast<std::ptrdiff_t>(at.position + at.size));
    }
    while (!out_.asked_for.empty()) {
      for (const std::uint64_t frame : std::exchange(out_.asked_for, {})) core_.on_frame(0, frame, frames.at(frame));
      core_.pump(now_);
    }
  }
  void let_go(Peer& peer) {
    for (std::size_t i = 0; i < out_.sent.size(); ++i) {
      if (out_.sent[i].to != peer.incarnation || out_.sent[i].header.type != MessageType::kRevoke) continue;
      const Bytes body(out_.sent[i].message.begin() + sizeof(wire::MessageHeader), out_.sent[i].message.end());
      out_.sent.erase(out_.sent.begin() + static_cast<std::ptrdiff_t>(i));
      return say(peer, MessageType::kReleased, body);
    }
    FAIL() << "nothing was asked back";
  }

  Peer source_ = ready("read", 0);
};

TEST_F(Boundaries, AreLearnedFromWhatComesFirstAndDealItOut) {
  std::vector<std::uint64_t> keys;
  for (std::uint64_t key = 0; key < 100; ++key) keys.push_back(key);
  emit(keys);
  ASSERT_EQ(boundaries().size(), 1U);
  EXPECT_EQ(boundaries().front(), Boundary(std::uint64_t{50}));
  EXPECT_EQ(end(0), 50U);
  EXPECT_EQ(end(1), 50U);
  EXPECT_FALSE(relocation()) << "nothing lay anywhere before";
  const auto stream = nlohmann::json::parse(core_.status_text())["streams"][0];
  EXPECT_EQ(stream["boundaries"], nlohmann::json({50}));
  EXPECT_EQ(stream["boundary_moves"], 1);
  EXPECT_EQ(stream["shard_records"], nlohmann::json({50, 50}));
}

class BoundariesInSmallEntries : public Boundaries {
 protected:
  static constexpr std::uint64_t kEntryBytes = 100'000;
  static CoreOptions small_entries() {
    CoreOptions options;
    options.entry_bytes_max = kEntryBytes;
    return options;
  }
  BoundariesInSmallEntries() : Boundaries(small_entries()) {}

  /// A frame of two batches, each of so many bytes before it was compressed.
  static Bytes compressed(std::size_t bytes) {
    Bytes records;
    wire::append_record(records, {0, key_bytes(1), Bytes(bytes, std::byte{0xc0}), {}});
    wire::Compressor compressor(Compression::kLz4);
    Bytes frame;
    wire::FrameWriter writer(0, kShards, frame, compressor);
    for (std::uint32_t shard = 0; shard < kShards; ++shard) writer.add(shard, 1, records, 0);
    writer.finish();
    return frame;
  }
};

TEST_F(BoundariesInSmallEntries, DealOutNothingThatNoEntryTakesUncompressed) {
  commit(source_, {}, {compressed(kEntryBytes / 3)});
  EXPECT_EQ(out_.fenced_why(), "");
  ASSERT_LT(compressed(kEntryBytes).size(), kEntryBytes / 10);
  commit(source_, {}, {compressed(2 * kEntryBytes / 3)});
  EXPECT_NE(out_.fenced_why().find("more than 100000 bytes, uncompressed"), std::string::npos) << out_.fenced_why();
}

TEST_F(Boundaries, LieInShardZeroUntilThereAreEnoughToLearnFrom) {
  emit({1, 2, 3, 1000});
  EXPECT_TRUE(boundaries().empty());
  EXPECT_EQ(end(0), 4U);
  EXPECT_EQ(end(1), 0U);
}

TEST_F(Boundaries, MoveOnlyWhenTheLoadHasMovedAndNotTooOften) {
  emit_often({10, 20, 30, 40});
  EXPECT_EQ(boundaries().front(), Boundary(std::uint64_t{30}));
  pass(Monotonic(2'000'000));
  EXPECT_EQ(moves(), 1U);
  emit_often({50, 60, 70, 80});
  EXPECT_EQ(moves(), 1U) << "the clock has not gone on";
  pass(Monotonic(200'000));
  EXPECT_EQ(moves(), 2U);
  EXPECT_EQ(boundaries().front(), Boundary(std::uint64_t{70}));
}

/// The boundary moves from 30 to 70 while the worker has not processed what came before.
class MovedBoundary : public Boundaries {
 protected:
  MovedBoundary() {
    emit_often({10, 20, 30, 40});
    pass(Monotonic(1'000'000));
    worker_ = hello("work");
    say(worker_, MessageType::kReady, {});
    say(worker_, MessageType::kCredit, wire::encode_totals({1 << 24, 1 << 20}));
    pass(Monotonic(1'000'000));
    for (const RestoreJob& job : std::exchange(out_.restores, {})) answer_restore(job, {});
    before_ = {end(0), end(1)};
    emit_often({50, 60, 70, 80});
    pass(Monotonic(300'000));
    emit({55, 75});
  }
  void consume(std::uint32_t shard, std::uint64_t from, std::uint64_t to, BytesView changes = {}) {
    wire::Commit commit;
    commit.consumed = {{0, shard, from, to}};
    if (!changes.empty()) commit.changes = {{kWork, shard, changes}};
    this->commit(worker_, commit);
    settle();
  }
  Peer worker_;
  std::vector<std::uint64_t> before_;
};

TEST_F(MovedBoundary, IsFollowedByStateBeforeAnythingBehindItIsDelivered) {
  ASSERT_TRUE(relocation());
  const Relocation moved = *relocation();
  ASSERT_EQ(moved.barriers.size(), 2U);
  EXPECT_FALSE(moved.barriers[0].gives);
  EXPECT_TRUE(moved.barriers[1].gives);
  EXPECT_EQ(end(0), moved.barriers[0].offset + 1) << "55 lies in front of 70 now";
  EXPECT_EQ(end(1), moved.barriers[1].offset + 1);
  for (std::uint32_t shard = 0; shard < kShards; ++shard)
    EXPECT_EQ(delivered(worker_, shard), moved.barriers[shard].offset) << shard;
  // One shard is at the place, the other not yet: nothing is asked back.
  const std::size_t asked = out_.count(MessageType::kRevoke);
  Bytes state = put(60, "sixty");
  const Bytes stays = put(80, "eighty");
  state.insert(state.end(), stays.begin(), stays.end());
  // A key that has lain in the other shard all the time: what there is of it is from before.
  const Bytes old = put(10, "ten");
  state.insert(state.end(), old.begin(), old.end());
  consume(1, 0, moved.barriers[1].offset, state);
  EXPECT_EQ(out_.count(MessageType::kRevoke), asked);
  EXPECT_TRUE(out_.restores.empty());
  consume(0, 0, moved.barriers[0].offset);
  ASSERT_EQ(out_.count(MessageType::kRevoke), asked + 1);
  EXPECT_TRUE(out_.restores.empty()) << "its holder may still commit";
  let_go(worker_);
  // It is copied first, and only then taken from where it was.
  ASSERT_EQ(out_.restores.size(), 1U);
  EXPECT_EQ(out_.restores[0].lanes, std::vector<std::uint32_t>{1});
  answer_restore(std::exchange(out_.restores, {}).front(), {{1, state}});
  ASSERT_TRUE(relocation());
  EXPECT_TRUE(relocation()->copied);
  const auto copied = decode_relocated(BytesView(out_.payloads.back()).subspan(sizeof(EntryHeader)));
  ASSERT_TRUE(copied.ok());
  ASSERT_EQ(copied->changes.size(), 1U);
  EXPECT_EQ(copied->changes[0].lane, 0U);
  EXPECT_TRUE(std::ranges::equal(copied->changes[0].changes, put(60, "sixty")));
  ASSERT_EQ(out_.restores.size(), 1U);
  const RestoreJob again = std::exchange(out_.restores, {}).front();
  answer_restore(again, {{1, state}});
  EXPECT_FALSE(relocation());
  const auto payload = std::ranges::find_if(out_.payloads, [](const Bytes& each) {
    const auto header = decode_header(each);
    if (!header.ok() || header->type != EntryType::kRelocated) return false;
    return decode_relocated(BytesView(each).subspan(sizeof(EntryHeader)))->step == Relocated::Step::kDone;
  });
  ASSERT_NE(payload, out_.payloads.end());
  const auto erased = decode_relocated(BytesView(*payload).subspan(sizeof(EntryHeader)));
  ASSERT_EQ(erased->changes.size(), 1U);
  EXPECT_EQ(erased->changes[0].lane, 1U);
  wire::ChangesReader reader(erased->changes[0].changes);
  const auto change = reader.next();
  ASSERT_TRUE(change && !change->value);
  EXPECT_TRUE(std::ranges::equal(change->key, key_bytes(60)));
  EXPECT_FALSE(reader.next());
  // Both shards are leased again, and what was sent behind the move comes.
  while (!out_.restores.empty()) answer_restore(std::exchange(out_.restores, {}).front(), {});
  answer_reads();
  for (std::uint32_t shard = 0; shard < kShards; ++shard) EXPECT_EQ(delivered(worker_, shard), end(shard)) << shard;
}

TEST_F(MovedBoundary, IsFollowedByWhoComesBehindACrash) {
  const Relocation moved = *relocation();
  consume(0, 0, moved.barriers[0].offset);
  consume(1, 0, moved.barriers[1].offset, put(60, "sixty"));
  let_go(worker_);
  answer_restore(std::exchange(out_.restores, {}).front(), {{1, put(60, "sixty")}});
  ASSERT_TRUE(relocation() && relocation()->copied);
  // From its entries, and from a checkpoint.
  Ledger ledger(topology_);
  std::uint32_t offset = 0;
  for (const Bytes& payload : out_.payloads) {
    Bytes copy = payload;
    const Status status =
        ledger.apply(ledger.next_sequence(), Buffer::of(std::move(copy)), {1, offset += 4096, 0, 0}, false);
    ASSERT_TRUE(status.ok()) << status.error().message;
  }
  std::vector<Ledger::Fixup> fixups;
  const Bytes checkpoint = ledger.encode_checkpoint(fixups);
  Ledger restored(topology_);
  const Status decoded = restored.decode_checkpoint(checkpoint);
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  for (const Ledger* each : {&ledger, &restored}) {
    EXPECT_EQ(each->stream(0).boundaries, boundaries());
    EXPECT_EQ(each->stream(0).boundary_moves, 2U);
    const auto& found = each->units()[kWork].relocation;
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->copied);
    ASSERT_EQ(found->barriers.size(), 2U);
    EXPECT_EQ(found->barriers[1].offset, moved.barriers[1].offset);
    EXPECT_TRUE(found->barriers[1].gives);
    EXPECT_FALSE(each->boundaries_rest(0));
  }
}

TEST_F(MovedBoundary, WaitsForTheLastOneToBeFollowed) {
  emit_often({1000, 2000, 3000});
  pass(Monotonic(5'000'000));
  EXPECT_EQ(moves(), 2U);
}

TEST_F(MovedBoundary, HoldsBackNoFinishAndNoReplay) {
  const auto why = core_.why_no_replay(kWork, 0);
  ASSERT_TRUE(why);
  EXPECT_NE(why->find("\"boundaries\": \"auto\""), std::string::npos) << *why;
}

TEST_F(Boundaries, OfAnotherEntryAreRefused) {
  emit_often({10, 20, 30, 40});
  Ledger ledger(topology_);
  std::uint32_t offset = 0;
  for (const Bytes& payload : out_.payloads) {
    Bytes copy = payload;
    ASSERT_TRUE(
        ledger.apply(ledger.next_sequence(), Buffer::of(std::move(copy)), {1, offset += 4096, 0, 0}, false).ok());
  }
  const auto refused = [&](std::vector<Boundary> boundaries) {
    Ledger other = ledger;
    Bytes payload = encode_header({EntryType::kBoundaries, {}, 0, 0});
    ByteWriter(payload).raw(encode(BoundariesMoved{0, std::move(boundaries)}));
    const Status status = other.apply(other.next_sequence(), Buffer::of(std::move(payload)), {1, 1, 0, 0}, false);
    return status.ok() ? std::string() : status.error().message;
  };
  EXPECT_EQ(refused({std::uint64_t{31}}), "");
  EXPECT_NE(refused({}).find("a stream that has none"), std::string::npos);
  EXPECT_NE(refused({std::uint64_t{1}, std::uint64_t{2}}).find("other boundaries than shards"), std::string::npos);
}

}  // namespace
}  // namespace weir::core
