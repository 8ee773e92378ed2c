// SPDX-License-Identifier: Apache-2.0
// How much a transaction of a source emits: what the broker says, where that is less than the topology allows.
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "sdk/wire/commit.h"
#include "stages/host/engine.h"
#include "tests/stages/host/one_source.h"
#include "weir/source.h"

namespace weir::host {
namespace {

constexpr std::uint64_t kSlack = 8 << 10;  ///< a read may go on to the end of its portion

/// Emits a kilobyte at a time, and has no end.
class Kilobytes final : public Source {
 public:
  void splits(weir::SplitList&) override {}
  Progress read(weir::Split& split, Context& out) override {
    while (!out.full()) out.emit(1, std::string(1000, 'x'));
    split.set_position(split.position<std::int64_t>() + 1);
    return Progress::kMore;
  }
};

/// Takes commits, and says how much the next one is to emit.
class Broker final : public Engine {
 public:
  [[nodiscard]] const std::string& host() const override { return host_; }
  Event next(Monotonic) override {
    Event event;
    if (granted_) return event;
    granted_ = true;
    wire::Lease lease;
    lease.kind = wire::LeaseKind::kSplit;
    lease.split = "only";
    event.kind = Event::Kind::kGrant;
    event.leases.push_back(lease);
    return event;
  }
  bool urgent() override { return false; }
  void commit(Bytes message) override {
    ++committed_;
    last_ = message.size();
  }
  [[nodiscard]] std::uint64_t committed() const override { return committed_; }
  [[nodiscard]] std::uint64_t settled() const override { return committed_; }
  [[nodiscard]] bool has_window() const override { return true; }
  [[nodiscard]] bool may_publish() const override { return true; }
  [[nodiscard]] std::uint64_t publish_at_once() const override { return at_once; }
  void worked_off(std::uint64_t, std::uint64_t) override {}
  void release(const std::vector<wire::Lease>&) override {}
  void drained() override {}
  void failed(const std::string& sentence) override { ADD_FAILURE() << sentence; }
  [[nodiscard]] bool closes(Monotonic, Monotonic) const override { return false; }
  [[nodiscard]] bool beat_due() const override { return false; }
  void beat(const wire::Measured&) override {}
  /// Bytes of the last commit.
  [[nodiscard]] std::uint64_t last() const { return last_; }

  std::uint64_t at_once = UINT64_MAX;

 private:
  std::string host_;
  bool granted_ = false;
  std::uint64_t committed_ = 0;
  std::uint64_t last_ = 0;
};

TEST(PublishShare, ATransactionOfASourceClosesAtWhatTheBrokerSays) {
  static const std::array kStages = {stage<Kilobytes>("kilobytes")};
  Broker broker;
  OneSource source(kStages.front(), broker);
  const auto next_commit = [&] {
    const std::uint64_t before = broker.committed();
    for (int turn = 0; turn < 10'000 && broker.committed() == before; ++turn) EXPECT_FALSE(source.runner().turn());
    return broker.last();
  };
  next_commit();
  EXPECT_NEAR(static_cast<double>(next_commit()), 1 << 20, kSlack) << "nothing is said";
  broker.at_once = 200 << 10;
  EXPECT_NEAR(static_cast<double>(next_commit()), 200 << 10, kSlack);
  broker.at_once = 64 << 20;
  EXPECT_NEAR(static_cast<double>(next_commit()), 1 << 20, kSlack) << "never more than without a word";
}

}  // namespace
}  // namespace weir::host
