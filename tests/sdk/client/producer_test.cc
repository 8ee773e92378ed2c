// SPDX-License-Identifier: Apache-2.0
// A producer outside a topology, with a broker whose words a test chooses.
#include "weir/producer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>

#include "tests/sdk/client/fake_broker.h"

namespace weir {
namespace {

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
  Producer producer(broker.endpoint, "orders", {.name = "web-1"});
  ASSERT_TRUE(producer.open());
  ASSERT_EQ(producer.last(), 100U);
  ProducerStatus status = producer.publish(nullptr, "mine");
  if (status) status = producer.flush(std::chrono::seconds(20));
  EXPECT_FALSE(status);
  EXPECT_THAT(status.message(), ::testing::HasSubstr("another producer has published as \"web-1\""));
  EXPECT_EQ(producer.acknowledged(), 0U);
}

}  // namespace
}  // namespace weir
