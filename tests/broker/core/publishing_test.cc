// SPDX-License-Identifier: Apache-2.0
// What sources may have under way at once: one that is alone much, several together not more.
#include <gtest/gtest.h>

#include <array>

#include "sdk/wire/batch.h"
#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kSources = 4;
constexpr std::size_t kMuch = 200'000;
constexpr std::size_t kLittle = 100;

/// Sources with a stream each, and a stage that reads them all.
Topology four_sources() {
  Topology topology = small_topology("sources");
  topology.stages.resize(kSources + 1);
  StageSpec work = working_stage(1);
  work.inputs.clear();
  work.host = kSources;
  for (std::uint32_t i = 0; i < kSources; ++i) {
    topology.streams.push_back(small_stream("stream" + std::to_string(i)));
    topology.streams.back().backlog_bytes_max = 1 << 30;
    StageSpec source = source_stage();
    source.name = "read" + std::to_string(i);
    source.outputs = {{"out", i}};
    source.host = i;
    work.inputs.emplace_back(PortBinding{"in" + std::to_string(i), i});
    topology.stages[i] = source;
  }
  topology.stages[kSources] = work;
  return topology;
}

class PublishingTest : public CoreFixture {
 protected:
  PublishingTest() : CoreFixture(four_sources()) {
    for (std::uint32_t i = 0; i < kSources; ++i) sources_[i] = ready("read" + std::to_string(i));
  }

  /// Source `index` publishes a record of so many bytes, which is settled at once.
  void publish(std::uint32_t index, std::size_t bytes) {
    Bytes batch;
    wire::append_record(batch, {0, wire::nil_bytes(), Bytes(bytes, std::byte{0xc0}), {}});
    const wire::FrameHeader header{index, 1, 1, 0};
    const wire::BatchHeader entry{0, 1, static_cast<std::uint32_t>(batch.size()), 0, 0, 0};
    Bytes frame;
    ByteWriter writer(frame);
    writer.raw(std::as_bytes(std::span(&header, 1)));
    writer.raw(std::as_bytes(std::span(&entry, 1)));
    writer.raw(batch);
    wire::Commit commit;
    commit.transaction = ++sources_[index].transactions;
    Bytes body;
    wire::encode(commit, std::vector<BytesView>{frame}, body);
    published_[index] += wire::publish_cost(body.size());
    say(sources_[index], MessageType::kCommit, body);
    settle();
  }
  /// What a source may publish yet.
  [[nodiscard]] std::uint64_t allowance(std::uint32_t index) const {
    std::uint64_t granted = 0;
    for (const Recorder::Sent& sent : out_.sent) {
      if (sent.to == sources_[index].incarnation && sent.header.type == MessageType::kPublish)
        granted = wire::decode_totals(wire::body_of(sent.message))->first;
    }
    return granted - std::min(granted, published_[index]);
  }
  [[nodiscard]] std::uint64_t all() const { return topology_.broker.transaction_bytes_max; }

  std::array<Peer, kSources> sources_;
  std::array<std::uint64_t, kSources> published_{};
};

TEST_F(PublishingTest, SharesWhatMayBeUnderWayAmongThoseWhoPublishMuch) {
  for (int round = 0; round < 10; ++round) {
    for (std::uint32_t i = 0; i < kSources; ++i) publish(i, kMuch);
    now_ += 1ms;
  }
  for (std::uint32_t i = 0; i < kSources; ++i) {
    EXPECT_GT(allowance(i), 0U) << "source " << i << " waits though nothing of it is under way";
    EXPECT_LE(allowance(i), all() / kSources + 4 * wire::kPublishOverhead) << "source " << i;
  }
}

TEST_F(PublishingTest, LeavesItToOneWhereTheOthersHaveStoppedOrPublishLittle) {
  for (int round = 0; round < 10; ++round) {
    for (std::uint32_t i = 0; i < kSources; ++i) publish(i, kMuch);
    now_ += 1ms;
  }
  for (int round = 0; round < 10; ++round) {
    publish(0, kMuch);
    publish(1, kLittle);
    now_ += 100ms;
  }
  EXPECT_GE(allowance(0), all() / 2);
}

TEST_F(PublishingTest, AdmitsATransactionOfAnySizeWhereNothingIsUnderWay) {
  for (std::uint32_t i = 0; i < kSources; ++i) {
    publish(i, 3 * kMuch);
    now_ += 1ms;
  }
  for (std::uint32_t i = 0; i < kSources; ++i) publish(i, kMuch);
  for (std::uint32_t i = 0; i < kSources; ++i) EXPECT_GT(allowance(i), 0U) << "source " << i;
}

}  // namespace
}  // namespace weir::core
