// SPDX-License-Identifier: Apache-2.0
// A producer outside a topology, with a broker whose words a test chooses.
#include "weir/producer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <vector>

#include "sdk/wire/messages.h"
#include "tests/sdk/client/fake_broker.h"

namespace weir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const std::string kNil = "\xc0";

Bytes opened() {
  wire::MapWriter answer("opened");
  answer.put("session", 1);
  answer.put("last", 0);
  return std::move(answer).finish();
}

Bytes acknowledged(std::uint64_t number) {
  wire::MapWriter answer("acknowledged");
  answer.put("number", number);
  return std::move(answer).finish();
}

Producer::Options named(std::string name) {
  Producer::Options options;
  options.name = std::move(name);
  return options;
}

TEST(Producer, SendsAgainOnlyWhatWasRefusedForWantOfRoom) {
  std::vector<std::uint64_t> numbers;
  FakeBroker broker([&](const wire::MapReader& map, const FakeBroker::Say& say) {
    if (map.op() == "open") say(opened());
    if (map.op() != "publish") return;
    numbers.push_back(static_cast<std::uint64_t>(map.integer("number", 0)));
    if (numbers.size() == 3) say(wire::encode_refusal(wire::Refusal::kAgain, "later", 3));
    if (numbers.size() > 3) say(acknowledged(numbers.back()));
  });
  Producer producer(broker.endpoint, "orders", named("p"));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(producer.publish_packed(kNil, kNil));
  const ProducerStatus flushed = producer.flush(seconds(20));
  EXPECT_TRUE(flushed) << flushed.message();
  broker.end();
  EXPECT_EQ(numbers, (std::vector<std::uint64_t>{1, 2, 3, 3}));
}

/// Refuses the first message once, takes the four that come then, and goes on for a while to say that they are out of
/// turn, as it may have been before.
TEST(Producer, AddsNothingToAMessageThatTheBrokerMayHave) {
  std::uint64_t last = 0;
  std::uint64_t records = 0;
  bool refused = false;
  std::atomic<int> confused{0};
  std::atomic<bool> clear{false};
  FakeBroker broker([&](const wire::MapReader& map, const FakeBroker::Say& say) {
    if (map.op() == "open") say(opened());
    if (map.op() != "publish") return;
    const auto number = static_cast<std::uint64_t>(map.integer("number", 0));
    if (!refused) {
      refused = true;
      return say(wire::encode_refusal(wire::Refusal::kAgain, "later", number));
    }
    if (number > last + 1) return;
    if (number == last + 1) {
      last = number;
      records += map.find("records")->via.array.size;
    }
    if (clear) return say(acknowledged(last));
    if (last < 4) return;
    say(wire::encode_refusal(wire::Refusal::kOrder, "one is missing", 2));
    ++confused;
  });
  Producer producer(broker.endpoint, "orders");
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(producer.publish_packed(kNil, kNil));
  while (confused < 2) (void)producer.flush(milliseconds(10));
  ASSERT_TRUE(producer.publish_packed(kNil, kNil));
  clear = true;
  const ProducerStatus flushed = producer.flush(seconds(20));
  EXPECT_TRUE(flushed) << flushed.message();
  broker.end();
  EXPECT_EQ(records, 5U);
}

TEST(Producer, TakesNothingForAcknowledgedThatAnotherOneOfItsNameHasPublished) {
  std::uint64_t sessions = 0;
  FakeBroker broker([&](const wire::MapReader& said, const FakeBroker::Say& say) {
    if (said.op() == "open") {
      // The first session was forgotten while nothing was said, and fifty records came from somebody else.
      wire::MapWriter opened("opened");
      opened.put("session", ++sessions);
      opened.put("last", sessions == 1 ? 100 : 150);
      say(std::move(opened).finish());
    } else if (said.op() == "publish") {
      wire::MapWriter refused("refused");
      refused.put("code", "closed");
      refused.put("error", "there is no such session");
      refused.put("number", said.integer("number", 0));
      say(std::move(refused).finish());
    }
  });
  Producer producer(broker.endpoint, "orders", named("web-1"));
  ASSERT_TRUE(producer.open());
  ASSERT_EQ(producer.last(), 100U);
  ProducerStatus status = producer.publish_packed(kNil, kNil);
  if (status) status = producer.flush(seconds(20));
  EXPECT_FALSE(status);
  EXPECT_THAT(status.message(), ::testing::HasSubstr("another producer has published as \"web-1\""));
  EXPECT_EQ(producer.acknowledged(), 0U);
}

}  // namespace
}  // namespace weir
