// SPDX-License-Identifier: Apache-2.0
// Whether a library could go on with the state that there is.
#include "stages/host/trial.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>

#include "sdk/wire/changes.h"
#include "stages/host/library.h"
#include "weir/encode.h"

namespace weir::host {
namespace {

using testing::HasSubstr;

template <typename T>
std::string packed(const T& value) {
  std::string bytes;
  encode(bytes, value);
  return bytes;
}

/// Gives what it was made with, and then nothing more to try.
class Gives final : public Engine {
 public:
  void post(Event event) { events_.push_back(std::move(event)); }

  [[nodiscard]] const std::string& host() const override { return host_; }
  Event next(Monotonic) override {
    if (events_.empty()) {
      Event end;
      end.kind = Event::Kind::kGrant;
      return end;
    }
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  bool urgent() override { return false; }
  void commit(Bytes) override { FAIL() << "a trial commits nothing"; }
  [[nodiscard]] std::uint64_t committed() const override { return 0; }
  [[nodiscard]] std::uint64_t settled() const override { return 0; }
  [[nodiscard]] bool has_window() const override { return true; }
  [[nodiscard]] bool may_publish() const override { return true; }
  void worked_off(std::uint64_t bytes, std::uint64_t) override { worked += bytes; }
  void say_taken(const wire::Lease& lease) override { taken.push_back(lease); }
  void release(const std::vector<wire::Lease>&) override {}
  void drained() override {}
  void failed(const std::string&) override { FAIL() << "a trial is no worker"; }
  [[nodiscard]] bool closes(Monotonic, Monotonic) const override { return false; }
  [[nodiscard]] bool beat_due() const override { return false; }
  void beat(const wire::Measured&) override {}

  std::vector<wire::Lease> taken;
  std::uint64_t worked = 0;

 private:
  std::string host_;
  std::deque<Event> events_;
};

class TrialTest : public ::testing::Test {
 protected:
  explicit TrialTest() {
    StageSpec& stage = topology_.stages.emplace_back();
    stage.name = "total";
    stage.inputs = {{"in", 0}};
    stage.outputs = {{"out", 1}};
  }

  /// The state of one shard, in parts one behind the other.
  void shard(std::uint32_t shard, const std::vector<Bytes>& parts) {
    wire::Lease lease;
    lease.kind = wire::LeaseKind::kAhead;
    lease.shard = shard;
    lease.epoch = shard + 10;
    Event grant;
    grant.kind = Event::Kind::kGrant;
    grant.leases.push_back(lease);
    engine_.post(std::move(grant));
    for (std::size_t i = 0; i <= parts.size(); ++i) {
      auto held = std::make_shared<Bytes>(i < parts.size() ? parts[i] : Bytes());
      Event event;
      event.kind = Event::Kind::kState;
      event.state = {0, shard, i == parts.size(), BytesView(*held), false, 0, shard + 10};
      event.owner = std::move(held);
      engine_.post(std::move(event));
    }
  }
  template <typename T>
  static Bytes put(const std::string& key, const T& value, wire::Space space = wire::Space::kState) {
    const std::string key_bytes = packed(key);
    const std::string value_bytes = packed(value);
    Bytes changes;
    wire::append_change(changes, {space, {}, as_bytes(key_bytes), as_bytes(value_bytes)});
    return changes;
  }
  Result<Trial::Outcome> tried(const std::string& plugin) {
    topology_.stages[0].plugin = plugin;
    const weir_descriptor* found = libraries_.find(plugin).value();
    return Trial(topology_, 0, *found, engine_).run("{}");
  }

  Topology topology_;
  Gives engine_;
  Libraries libraries_{{WEIR_TEST_TYPED}};
};

TEST_F(TrialTest, ReadsEveryValueOfEveryShard) {
  shard(0, {put("a", 1), put("b", 2)});
  shard(3, {put("c", 3)});
  const auto outcome = tried("typed.total");
  ASSERT_TRUE(outcome.ok()) << outcome.error().message;
  EXPECT_EQ(outcome->shards, 2U);
  EXPECT_EQ(outcome->values, 3U);
  EXPECT_EQ(outcome->unknown, 0U);
  ASSERT_EQ(engine_.taken.size(), 2U);
  EXPECT_EQ(engine_.taken[1].shard, 3U);
  EXPECT_EQ(engine_.taken[1].epoch, 13U);
}

TEST_F(TrialTest, NamesTheValueThatItCannotRead) {
  shard(0, {put("a", 1)});
  shard(2, {put("bad", "text")});
  const auto outcome = tried("typed.total");
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().message,
            "stage \"total\" cannot go on with the state of the key that is the string \"bad\" (shard 2): "
            "expected an integer, found the string \"text\"");
}

TEST_F(TrialTest, LooksAtWhatIsThereInTheEnd) {
  Bytes erased;
  const std::string key = packed("gone");
  wire::append_change(erased, {wire::Space::kState, {}, as_bytes(key), std::nullopt});
  shard(0, {put("a", "text"), put("gone", "text"), put("a", 1), erased, put("b", "letter", wire::Space::kDeadLetter)});
  const auto outcome = tried("typed.total");
  ASSERT_TRUE(outcome.ok()) << outcome.error().message;
  EXPECT_EQ(outcome->values, 1U);
}

TEST_F(TrialTest, PassesOverWhatALaterPartHasWrittenAnew) {
  shard(0, {put("a", "text"), put("b", "text"), put("a", 1), put("b", 2)});
  const auto outcome = tried("typed.total");
  ASSERT_TRUE(outcome.ok()) << outcome.error().message;
  EXPECT_EQ(outcome->values, 2U);
}

TEST_F(TrialTest, CountsWhatTheLibraryDoesNotSay) {
  shard(0, {put("a", 1)});
  const auto outcome = tried("typed.waits");  // it keeps no state
  ASSERT_TRUE(outcome.ok()) << outcome.error().message;
  EXPECT_EQ(outcome->unknown, 1U);
}

TEST_F(TrialTest, SaysWhyThePluginCannotStart) {
  EXPECT_THAT(tried("typed.throws").error().message, HasSubstr("never in the mood"));
}

}  // namespace
}  // namespace weir::host
