// SPDX-License-Identifier: Apache-2.0
// A split that is asked back while it is read: nothing more is read of it, and it goes when its source knows all of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <string>
#include <vector>

#include "sdk/wire/commit.h"
#include "stages/host/engine.h"
#include "tests/stages/host/one_source.h"
#include "weir/source.h"

namespace weir::host {
namespace {

std::vector<std::string> happened;

/// Counts, and has no end.
class Counts final : public Source {
 public:
  void splits(weir::SplitList&) override {}
  Progress read(weir::Split& split, Context& out) override {
    const auto next = split.position<std::int64_t>();
    out.emit(next, next);
    split.set_position(next + 1);
    return Progress::kMore;
  }
  void on_durable(weir::Split& split) override {
    happened.push_back("durable " + std::to_string(split.position<std::int64_t>()));
  }
};

/// Settles what a test says, and writes down what a worker says.
class Slow final : public Engine {
 public:
  [[nodiscard]] const std::string& host() const override { return host_; }
  Event next(Monotonic) override {
    if (events.empty()) return {};
    Event event = std::move(events.front());
    events.pop_front();
    return event;
  }
  bool urgent() override { return false; }
  void commit(Bytes message) override {
    ++commits;
    const auto commit = wire::decode_commit(message, sizeof(wire::MessageHeader));
    for (const wire::SplitMoved& moved : commit->splits) position = ValueView(moved.position).as<std::int64_t>();
  }
  [[nodiscard]] std::uint64_t committed() const override { return commits; }
  [[nodiscard]] std::uint64_t settled() const override { return settled_through; }
  [[nodiscard]] bool has_window() const override { return true; }
  [[nodiscard]] bool may_publish() const override { return true; }
  void worked_off(std::uint64_t, std::uint64_t) override {}
  void release(const std::vector<wire::Lease>& leases) override {
    for (const wire::Lease& lease : leases) happened.push_back("let go " + std::to_string(lease.shard));
  }
  void drained() override {}
  void failed(const std::string& sentence) override { happened.push_back(sentence); }
  [[nodiscard]] bool closes(Monotonic, Monotonic) const override { return true; }
  [[nodiscard]] bool beat_due() const override { return false; }
  void beat(const wire::Measured&) override {}

  std::deque<Event> events;
  std::uint64_t commits = 0;
  std::uint64_t settled_through = 0;
  std::int64_t position = 0;

 private:
  std::string host_;
};

TEST(GivenBack, ASplitIsReadNoMoreAndGoesOnceItsSourceKnowsThatAllIsSettled) {
  happened.clear();
  static const std::array kStages = {stage<Counts>("counts")};
  Slow engine;
  OneSource source(kStages.front(), engine);
  const auto say = [&](Event::Kind kind) {
    for (const std::uint32_t split : {4U, 7U}) {
      if (kind == Event::Kind::kRevoke && split == 7) continue;
      wire::Lease lease;
      lease.kind = wire::LeaseKind::kSplit;
      lease.shard = split;
      lease.split = std::to_string(split);
      Event event;
      event.kind = kind;
      event.leases.push_back(lease);
      engine.events.push_back(std::move(event));
    }
  };
  const auto turns = [&](int count) {
    for (int i = 0; i < count; ++i) EXPECT_FALSE(source.runner().turn());
  };
  say(Event::Kind::kGrant);
  turns(6);
  ASSERT_GE(engine.commits, 3U);
  const std::int64_t read = engine.position;
  say(Event::Kind::kRevoke);
  turns(1);
  EXPECT_TRUE(happened.empty()) << "nothing is settled yet: " << happened.front();
  turns(5);
  EXPECT_TRUE(happened.empty()) << happened.front();
  const std::uint64_t others = engine.commits;
  turns(2);
  EXPECT_GT(engine.commits, others) << "the other split is read on";
  engine.settled_through = engine.commits;
  turns(1);
  ASSERT_GE(happened.size(), 2U);
  EXPECT_EQ(happened[0], "durable " + std::to_string(read));
  EXPECT_NE(std::find(happened.begin(), happened.end(), "let go 4"), happened.end());
  happened.clear();
  engine.settled_through = engine.commits;
  turns(3);
  engine.settled_through = engine.commits;
  turns(1);
  EXPECT_EQ(std::count(happened.begin(), happened.end(), "let go 4"), 0) << "it has gone";
}

}  // namespace
}  // namespace weir::host
