// SPDX-License-Identifier: Apache-2.0
// A consumer outside a topology, with a broker whose words a test chooses.
#include "weir/consumer.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "broker/core/parcel.h"
#include "sdk/wire/batch.h"
#include "tests/sdk/client/fake_broker.h"

namespace weir {
namespace {

using std::chrono::seconds;

using Positions = std::vector<std::tuple<std::uint32_t, std::uint32_t, std::uint64_t>>;

/// A group's side of a broker: delivers as far as credit goes, and keeps what is acknowledged.
class Group {
 public:
  explicit Group(std::function<Bytes(std::uint64_t session, std::uint64_t offset)> delivery, std::uint64_t records,
                 bool dies = false)
      : dies_(dies), records_(records), delivery_(std::move(delivery)) {}

  void hear(const wire::MapReader& said, const FakeBroker::Say& say) {
    const auto answer = [&](std::string_view op) {
      wire::MapWriter writer(op);
      writer.put("session", session_);
      return writer;
    };
    const std::string op = said.op();
    if (op == "consume") {
      ++session_;
      next_ = bytes_ = 0;
      wire::MapWriter consuming = answer("consuming");
      consuming.put("positions", std::vector<std::uint64_t>{0});
      say(std::move(consuming).finish());
    } else if (op == "credit") {
      for (const auto credit = static_cast<std::uint64_t>(said.integer("bytes", 0));
           next_ < records_ && bytes_ < credit; ++next_) {
        bytes_ += wire::record_bytes({0, wire::nil_bytes(), wire::nil_bytes(), {}});
        say(delivery_(session_, next_));
      }
    } else if (op == "acknowledge" && std::exchange(dies_, false)) {
      wire::MapWriter refused("refused");
      refused.put("code", "closed");
      say(std::move(refused).finish());
    } else if (op == "acknowledge") {
      acknowledged.push_back(said.find("positions")->as<Positions>());
      wire::MapWriter done = answer("acknowledged");
      done.put("number", said.integer("number", 0));
      say(std::move(done).finish());
    } else if (op == "leave") {
      say(answer("left").finish());
    }
  }

  std::vector<Positions> acknowledged;  ///< by each request

 private:
  bool dies_;  ///< instead of its first answer to an acknowledgement, and is there again
  std::uint64_t records_;
  std::function<Bytes(std::uint64_t session, std::uint64_t offset)> delivery_;
  std::uint64_t session_ = 0;
  std::uint64_t next_ = 0;   ///< to be delivered
  std::uint64_t bytes_ = 0;  ///< delivered
};

/// The record at `offset` of shard 0, alone.
Bytes delivery_of(std::uint64_t session, std::uint64_t offset) {
  Bytes batch;
  wire::append_record(batch, {0, wire::nil_bytes(), wire::nil_bytes(), {}});
  core::Parcel parcel;
  parcel.add(1, {0, offset, 1, batch});
  return parcel.message(session, offset + 1);
}

TEST(Consumer, AcknowledgesAnEarlierDeliveryWhileALaterOneOfItsShardIsAtHand) {
  Group group(delivery_of, 2);
  FakeBroker broker([&](const auto& said, const auto& say) { group.hear(said, say); });
  Consumer consumer(broker.endpoint, "orders", "bills");
  ASSERT_TRUE(consumer.open()) << consumer.status().message();
  for (std::uint64_t offset = 0; offset < 2; ++offset) {
    const RecordView* record = consumer.poll(seconds(20));
    ASSERT_NE(record, nullptr) << consumer.status().message();
    ASSERT_EQ(record->offset(), offset);
  }
  consumer.acknowledge(0, 1);
  const ConsumerStatus flushed = consumer.flush(seconds(20));
  EXPECT_TRUE(flushed) << flushed.message();
  broker.end();
  EXPECT_EQ(group.acknowledged, std::vector<Positions>({{{0, 1, 1}}}));
}

TEST(Consumer, AcknowledgesToANewBrokerMoreThanItsWindowThatTheCallerHasHad) {
  constexpr std::uint64_t kRecords = 20;
  Group group(delivery_of, kRecords, true);
  FakeBroker broker([&](const auto& said, const auto& say) { group.hear(said, say); });
  Consumer consumer(broker.endpoint, "orders", "bills", {.window_bytes = 64});
  for (std::uint64_t offset = 0; offset < kRecords; ++offset) {
    ASSERT_NE(consumer.poll(seconds(20)), nullptr) << consumer.status().message();
  }
  consumer.acknowledge(0, kRecords);
  const ConsumerStatus flushed = consumer.flush(seconds(5));
  EXPECT_TRUE(flushed) << flushed.message();
  broker.end();
  ASSERT_FALSE(group.acknowledged.empty());
  EXPECT_EQ(group.acknowledged.back(), Positions({{0, 1, kRecords}}));
}

}  // namespace
}  // namespace weir
