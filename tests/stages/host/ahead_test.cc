// SPDX-License-Identifier: Apache-2.0
// State that comes ahead of its lease: what it is on top of, and what becomes of it where the lease does not follow.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "sdk/wire/batch.h"
#include "sdk/wire/changes.h"
#include "sdk/wire/commit.h"
#include "sdk/wire/frame.h"
#include "stages/host/chain.h"
#include "stages/host/engine.h"
#include "stages/host/library.h"
#include "stages/host/runner.h"
#include "weir/encode.h"
#include "weir/value.h"

namespace weir::host {
namespace {

using Totals = std::map<std::string, std::int64_t>;

/// Gives what it was made with, and keeps what a worker says.
class Told final : public Engine {
 public:
  void post(Event event) { events_.push_back(std::move(event)); }
  [[nodiscard]] bool empty() const { return events_.empty(); }

  [[nodiscard]] const std::string& host() const override { return host_; }
  Event next(Monotonic) override {
    if (events_.empty()) return {};
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  bool urgent() override { return false; }
  void commit(Bytes message) override { commits.push_back(std::move(message)); }
  [[nodiscard]] std::uint64_t committed() const override { return commits.size(); }
  [[nodiscard]] std::uint64_t settled() const override { return commits.size(); }
  [[nodiscard]] bool has_window() const override { return true; }
  [[nodiscard]] bool may_publish() const override { return true; }
  void worked_off(std::uint64_t, std::uint64_t) override {}
  void say_taken(const wire::Lease& lease) override { taken.push_back(lease); }
  void release(const std::vector<wire::Lease>& leases) override { released += leases.size(); }
  void drained() override {}
  void failed(const std::string& sentence) override { failure = sentence; }
  [[nodiscard]] bool closes(Monotonic, Monotonic) const override { return false; }
  [[nodiscard]] bool beat_due() const override { return false; }
  void beat(const wire::Measured&) override {}

  std::vector<Bytes> commits;
  std::vector<wire::Lease> taken;
  std::size_t released = 0;
  std::string failure;

 private:
  std::string host_;
  std::deque<Event> events_;
};

/// A worker of running totals, with two shards.
class TotalWorker {
 public:
  TotalWorker() : libraries_({WEIR_TEST_TYPED}) {
    StageSpec& stage = topology_.stages.emplace_back();
    stage.name = "total";
    stage.plugin = "typed.total";
    stage.keyed = true;
    stage.inputs = {{"in", 0}};
    stage.outputs = {{"out", 1}};
    for (const char* name : {"in", "out"}) {
      Stream& stream = topology_.streams.emplace_back();
      stream.name = name;
      stream.shards = 2;
      stream.partition = PartitionBy::kHash;
    }
    topology_.broker.transaction_bytes_max = 8 << 20;
    chain_.emplace(topology_, 0, 0);
    const Status created =
        chain_->create([&](const StageSpec& spec) { return libraries_.find(spec.plugin); },
                       [](const StageSpec&, const weir_descriptor&) { return Result<std::string>(std::string("{}")); });
    EXPECT_TRUE(created.ok()) << created.error().message;
    runner_.emplace(topology_, *chain_, engine, RunnerClock{[] { return Monotonic{0}; }, [] { return 777; }});
  }

  void leases(Event::Kind kind, wire::LeaseKind of, std::uint32_t number, std::uint32_t shard = 0) {
    wire::Lease lease;
    lease.kind = of;
    lease.shard = shard;
    lease.epoch = number;
    lease.state_follows = true;
    Event event;
    event.kind = kind;
    event.leases.push_back(lease);
    take(std::move(event));
  }
  void state(const Bytes& changes, std::uint32_t ahead, bool on_top, std::uint32_t shard = 0) {
    for (const bool last : {false, true}) {
      auto held = std::make_shared<Bytes>(changes);
      Event event;
      event.kind = Event::Kind::kState;
      event.state = {0, shard, last, last ? BytesView() : BytesView(*held), on_top, 0, ahead};
      event.owner = std::move(held);
      take(std::move(event));
    }
  }
  /// Adds to keys; the totals that come of it.
  Totals add(const Totals& numbers, std::uint32_t shard = 0) {
    auto batch = std::make_shared<Bytes>();
    for (const auto& [text, number] : numbers) {
      std::string key;
      std::string value;
      encode(key, text);
      encode(value, number);
      wire::append_record(*batch, {1000, as_bytes(key), as_bytes(value), {}});
    }
    Event event;
    event.kind = Event::Kind::kDeliver;
    event.delivery.batches.push_back({0, shard, static_cast<std::uint32_t>(numbers.size()),
                                      static_cast<std::uint32_t>(batch->size()), offset_[shard], INT64_MIN, 0});
    event.delivery.records.emplace_back(*batch);
    event.owner = std::move(batch);
    offset_[shard] += numbers.size();
    take(std::move(event));
    Totals totals;
    const auto commit = wire::decode_commit(engine.commits.back(), sizeof(wire::MessageHeader));
    for (const wire::FrameAt& at : commit->frames) {
      const auto frame = wire::FrameView::parse(BytesView(engine.commits.back()).subspan(at.position, at.size));
      wire::BatchReader reader(frame->bytes().subspan(frame->batches_start()));
      while (const auto record = reader.next())
        totals[ValueView(record->key).as<std::string>()] = ValueView(record->value).as<std::int64_t>();
    }
    return totals;
  }
  /// What the last commit changed.
  [[nodiscard]] Bytes changes() const {
    const auto commit = wire::decode_commit(engine.commits.back(), sizeof(wire::MessageHeader));
    return {commit->changes.at(0).bytes.begin(), commit->changes.at(0).bytes.end()};
  }

  Told engine;

 private:
  void take(Event event) {
    engine.post(std::move(event));
    while (!engine.empty()) EXPECT_FALSE(runner_->turn());
    EXPECT_FALSE(runner_->turn());
    EXPECT_EQ(engine.failure, "");
  }

  Topology topology_;
  Libraries libraries_;
  std::optional<Chain> chain_;
  std::optional<Runner> runner_;
  std::map<std::uint32_t, std::uint64_t> offset_;  ///< by shard
};

class AheadTest : public testing::Test {
 protected:
  AheadTest() {
    TotalWorker holder;
    holder.leases(Event::Kind::kGrant, wire::LeaseKind::kShard, 1);
    holder.state({}, 0, false);
    EXPECT_EQ(holder.add({{"a", 5}, {"b", 7}}), (Totals{{"a", 5}, {"b", 7}}));
    first_ = holder.changes();
    EXPECT_EQ(holder.add({{"a", 1}}), (Totals{{"a", 6}}));
    second_ = holder.changes();
    next_.leases(Event::Kind::kGrant, wire::LeaseKind::kAhead, 3);
    next_.state(first_, 3, false);
  }
  void lease_comes() { next_.leases(Event::Kind::kGrant, wire::LeaseKind::kShard, 2); }
  /// That what the changes put is erased.
  static Bytes erased(const Bytes& changes) {
    Bytes erases;
    wire::ChangesReader reader(changes);
    while (auto change = reader.next()) {
      change->value.reset();
      wire::append_change(erases, *change);
    }
    return erases;
  }

  Bytes first_;
  Bytes second_;
  TotalWorker next_;
};

TEST_F(AheadTest, SaysThatItHasTheCopyAndGoesOnWhereTheHolderEnded) {
  ASSERT_EQ(next_.engine.taken.size(), 1U);
  EXPECT_EQ(next_.engine.taken[0].epoch, 3U);
  lease_comes();
  next_.state(second_, 0, true);
  EXPECT_EQ(next_.add({{"a", 10}, {"b", 10}}), (Totals{{"a", 16}, {"b", 17}}));
}

TEST_F(AheadTest, HasTheCopyThoughItWasThereBeforeTheStageHadDoneAnything) {
  next_.leases(Event::Kind::kGrant, wire::LeaseKind::kShard, 1, 1);
  next_.state({}, 0, false, 1);
  EXPECT_EQ(next_.add({{"z", 1}}, 1), (Totals{{"z", 1}}));  // since now the type of the state is known
  lease_comes();
  next_.state(second_, 0, true);
  EXPECT_EQ(next_.add({{"a", 10}, {"b", 10}}), (Totals{{"a", 16}, {"b", 17}}));
}

TEST_F(AheadTest, ForgetsWhatWasErasedBehindTheCopy) {
  lease_comes();
  next_.state(erased(second_), 0, true);
  EXPECT_EQ(next_.add({{"a", 10}, {"b", 10}}), (Totals{{"a", 10}, {"b", 17}}));
}

TEST_F(AheadTest, DropsTheCopyWhereAllOfTheStateComesAnew) {
  lease_comes();
  next_.state(second_, 0, false);
  EXPECT_EQ(next_.add({{"a", 10}, {"b", 10}}), (Totals{{"a", 16}, {"b", 10}}));
}

TEST_F(AheadTest, DropsTheCopyThatIsAskedBackWithoutAWord) {
  next_.leases(Event::Kind::kRevoke, wire::LeaseKind::kAhead, 3);
  EXPECT_EQ(next_.engine.released, 0U);
  lease_comes();
  next_.state({}, 0, false);
  EXPECT_EQ(next_.add({{"a", 10}}), (Totals{{"a", 10}}));
}

TEST_F(AheadTest, TakesAnotherCopyInPlaceOfOne) {
  next_.leases(Event::Kind::kRevoke, wire::LeaseKind::kAhead, 3);
  next_.leases(Event::Kind::kGrant, wire::LeaseKind::kAhead, 4);
  next_.state(second_, 4, false);
  EXPECT_EQ(next_.engine.taken.back().epoch, 4U);
  lease_comes();
  next_.state({}, 0, true);
  EXPECT_EQ(next_.add({{"a", 10}, {"b", 10}}), (Totals{{"a", 16}, {"b", 10}}));
}

}  // namespace
}  // namespace weir::host
