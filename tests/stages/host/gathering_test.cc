// SPDX-License-Identifier: Apache-2.0
// Which transactions stay open for more where nothing comes: those that nobody waits for, and for how long.
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sdk/wire/batch.h"
#include "sdk/wire/commit.h"
#include "stages/host/chain.h"
#include "stages/host/engine.h"
#include "stages/host/runner.h"
#include "weir/encode.h"
#include "weir/sink.h"
#include "weir/stage.h"

namespace weir::host {
namespace {

constexpr std::uint64_t kBacklog = 64 << 10;
constexpr Monotonic kGap = std::chrono::milliseconds(5);
constexpr Monotonic kNow = std::chrono::seconds(1);

/// Counts its records, and does what they say.
class Told final : public Stage {
 public:
  static constexpr bool kKeyed = true;
  void process(const RecordView& in, Context& out) override {
    ++out.state<std::int64_t>();
    const auto text = in.value<std::string_view>();
    if (text == "count") out.count("told");
    if (text == "emit") out.emit(in.key(), 1);
    if (text == "fail") throw std::runtime_error("told to");
  }
};

class Written final : public Sink {
 public:
  void write(const RecordView&) override {}
};

/// Gives what it was told to, and says when it was waited for.
class Broker final : public Engine {
 public:
  /// A record comes next, behind which the broker may wait for its commit.
  void deliver(const std::string& text, std::int64_t watermark = INT64_MIN, bool awaited = false) {
    auto batch = std::make_shared<Bytes>();
    std::string key;
    encode(key, 1);
    std::string value;
    encode(value, text);
    wire::append_record(*batch, {1000, as_bytes(key), as_bytes(value), {}});
    Event event;
    event.kind = Event::Kind::kDeliver;
    wire::DeliveryHeader header{0, 0, 1, static_cast<std::uint32_t>(batch->size()), delivered_++, watermark, 0};
    header.awaited = awaited ? 1 : 0;
    event.delivery.batches.push_back(header);
    event.delivery.records.emplace_back(*batch);
    event.owner = std::move(batch);
    events_.push_back(std::move(event));
  }
  void post(Event event) { events_.push_back(std::move(event)); }

  [[nodiscard]] const std::string& host() const override { return host_; }
  Event next(Monotonic wait) override {
    waited = wait;
    if (events_.empty()) return {};
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  bool urgent() override { return false; }
  void commit(Bytes) override { ++committed_; }
  [[nodiscard]] std::uint64_t committed() const override { return committed_; }
  [[nodiscard]] std::uint64_t settled() const override { return committed_; }
  [[nodiscard]] bool has_window() const override { return window; }
  [[nodiscard]] bool may_publish() const override { return true; }
  void worked_off(std::uint64_t, std::uint64_t) override {}
  void release(const std::vector<wire::Lease>&) override {}
  void drained() override {}
  void failed(const std::string& sentence) override { ADD_FAILURE() << sentence; }
  [[nodiscard]] bool closes(Monotonic, Monotonic) const override { return false; }
  [[nodiscard]] Monotonic gathers_until(Monotonic, Monotonic worked) const override { return worked + kGap; }
  [[nodiscard]] bool beat_due() const override { return false; }
  void beat(const wire::Measured&) override {}

  Monotonic waited{0};  ///< the longest that the last call of next() was to take
  bool window = true;

 private:
  std::string host_;
  std::deque<Event> events_;
  std::uint64_t committed_ = 0;
  std::uint64_t delivered_ = 0;
};

class Gathering : public testing::Test {
 protected:
  /// The worker of a stage or sink, with a lease of its input.
  void start(const weir_descriptor& plugin, wire::LeaseKind leased = wire::LeaseKind::kShard) {
    StageSpec& spec = topology_.stages.emplace_back();
    spec.name = spec.plugin = plugin.name;
    spec.kind = plugin.kind == WEIR_KIND_SINK ? PluginKind::kSink : PluginKind::kStage;
    add_stream("in", spec.inputs);
    if (plugin.kind != WEIR_KIND_SINK) add_stream("out", spec.outputs);
    topology_.broker.transaction_bytes_max = 8 << 20;
    chain_ = std::make_unique<Chain>(topology_, 0, 0);
    const Status created =
        chain_->create([&](const StageSpec&) { return Result<const weir_descriptor*>(&plugin); },
                       [](const StageSpec&, const weir_descriptor&) { return Result<std::string>(std::string("{}")); });
    ASSERT_TRUE(created.ok()) << created.error().message;
    const RunnerClock clock{[this] { return now_; }, [] { return 777; }};
    runner_ = std::make_unique<Runner>(topology_, *chain_, broker_, clock);
    wire::Lease lease;
    lease.kind = leased;
    lease.epoch = 1;
    Event grant;
    grant.kind = Event::Kind::kGrant;
    grant.leases.push_back(lease);
    broker_.post(std::move(grant));
    turn();
  }
  void turn() { EXPECT_FALSE(runner_->turn()); }
  /// Commits by the next turn, in which nothing comes.
  std::uint64_t commits_after_a_turn() {
    turn();
    return broker_.committed();
  }

  Broker broker_;
  Topology topology_;
  Monotonic now_ = kNow;

 private:
  void add_stream(const char* port, std::vector<PortBinding>& ports) {
    ports.push_back({port, static_cast<std::uint32_t>(topology_.streams.size())});
    Stream& stream = topology_.streams.emplace_back();
    stream.name = port;
    stream.shards = 1;
    stream.partition = PartitionBy::kHash;
    stream.backlog_bytes_max = kBacklog;
  }

  std::unique_ptr<Chain> chain_;
  std::unique_ptr<Runner> runner_;
};

const weir_descriptor& told() {
  static const weir_descriptor kTold = stage<Told>("told");
  return kTold;
}

TEST_F(Gathering, StateAloneWaitsForMoreUntilNothingHasComeForAWhile) {
  start(told());
  broker_.deliver("state");
  turn();
  EXPECT_EQ(commits_after_a_turn(), 0U);
  EXPECT_EQ(broker_.waited, kGap);
  now_ += kGap - Monotonic{1};
  broker_.deliver("count");
  turn();
  now_ += kGap - Monotonic{1};
  EXPECT_EQ(commits_after_a_turn(), 0U) << "the second record has just come";
  now_ += Monotonic{1};
  EXPECT_EQ(commits_after_a_turn(), 1U);
  EXPECT_EQ(broker_.waited, Monotonic{0});
}

TEST_F(Gathering, WhatWasEmittedLeavesAtOnceWithAllBeforeIt) {
  start(told());
  broker_.deliver("state");
  broker_.deliver("emit");
  turn();
  turn();
  EXPECT_EQ(commits_after_a_turn(), 1U);
  EXPECT_EQ(broker_.waited, Monotonic{0});
}

TEST_F(Gathering, EventTimeThatMovesOnIsToldAtOnce) {
  start(told());
  broker_.deliver("state", 900);
  turn();
  EXPECT_EQ(commits_after_a_turn(), 1U);
  broker_.deliver("state", 900);
  turn();
  EXPECT_EQ(commits_after_a_turn(), 1U) << "it has not moved on";
}

TEST_F(Gathering, ADeadLetterIsKeptAtOnce) {
  start(told());
  broker_.deliver("fail");
  turn();
  EXPECT_EQ(commits_after_a_turn(), 1U);
}

TEST_F(Gathering, ATransactionDoesNotFillAStreamThatItsProducersWaitFor) {
  start(told());
  broker_.deliver(std::string(kBacklog / 8 - 100, 'x'));
  turn();
  EXPECT_EQ(commits_after_a_turn(), 0U);
  broker_.deliver(std::string(200, 'x'));
  turn();
  EXPECT_EQ(commits_after_a_turn(), 1U);
  broker_.deliver("state");
  turn();
  EXPECT_EQ(commits_after_a_turn(), 1U) << "what is committed counts no more";
}

TEST_F(Gathering, NothingWaitsForWhatCannotComeWithoutAWindow) {
  start(told());
  broker_.deliver("state");
  turn();
  broker_.window = false;
  EXPECT_EQ(commits_after_a_turn(), 1U);
}

TEST_F(Gathering, WhatTheBrokerWaitsForIsCommittedAtOnce) {
  start(told());
  broker_.deliver("state", INT64_MIN, true);
  turn();
  EXPECT_EQ(commits_after_a_turn(), 1U);
  broker_.deliver("state");
  turn();
  EXPECT_EQ(commits_after_a_turn(), 1U) << "it waits no more";
}

TEST_F(Gathering, WithoutShardsEventTimeGoesByWhatIsCommitted) {
  start(told(), wire::LeaseKind::kRanges);
  broker_.deliver("state");
  turn();
  EXPECT_EQ(commits_after_a_turn(), 1U);
}

TEST_F(Gathering, ASinkIsFlushedAtOnce) {
  static const weir_descriptor kWritten = stage<Written>("written");
  start(kWritten);
  broker_.deliver("state");
  turn();
  EXPECT_EQ(commits_after_a_turn(), 1U);
}

}  // namespace
}  // namespace weir::host
