// SPDX-License-Identifier: Apache-2.0
// Streams whose hot keys are split: what comes from outside, what ends, and what a person is told.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sdk/topology/hot_keys.h"
#include "sdk/wire/map.h"
#include "tests/broker/core/core_fixture.h"

namespace weir::core {
namespace {

constexpr std::uint32_t kOrders = 0;
constexpr std::uint32_t kShards = 4;

Topology split_topology() {
  Topology topology = small_topology("outside");
  topology.streams = {small_stream("orders"), small_stream("counts")};
  topology.streams[kOrders].external_in = true;
  topology.streams[kOrders].partition = PartitionBy::kHash;
  topology.streams[kOrders].shards = kShards;
  topology.streams[kOrders].hot_keys = HotKeys::kSplit;
  topology.streams[1].external_out = true;
  StageSpec count;
  count.name = "count";
  count.keyed = true;
  count.inputs = {{"in", kOrders}};
  count.outputs = {{"out", 1}};
  topology.stages = {count};
  add_hot_key_streams(topology);
  return topology;
}

class HotKeysFromOutside : public CoreFixture {
 protected:
  HotKeysFromOutside() : CoreFixture(split_topology()) {
    settle();
    wire::MapWriter message("open");
    message.put("stream", "orders");
    message.put("name", "p");
    session_ = ask(std::move(message)).at(0).integer("session", 0);
  }

  std::vector<wire::MapReader> ask(wire::MapWriter message) {
    const std::size_t before = out_.replies.size();
    core_.on_client("a", std::move(message).finish(), now_);
    core_.pump(now_);
    std::vector<wire::MapReader> found;
    for (std::size_t i = before; i < out_.replies.size(); ++i)
      found.push_back(*wire::MapReader::parse(out_.replies[i]));
    return found;
  }
  /// One message with these keys.
  void publish(const std::vector<std::string>& keys) {
    wire::MapWriter message("publish");
    message.put("session", session_);
    message.put("number", ++number_);
    msgpack::sbuffer records;
    msgpack::packer<msgpack::sbuffer> packer(records);
    packer.pack_array(static_cast<std::uint32_t>(keys.size()));
    for (const std::string& key : keys) {
      packer.pack_array(2);
      packer.pack(key);
      packer.pack(1);
    }
    message.put_packed("records", as_bytes({records.data(), records.size()}));
    EXPECT_TRUE(ask(std::move(message)).empty());
    settle();
  }
  /// Every other record has the key "hot", the others each their own.
  void publish_half_hot(int messages) {
    for (int i = 0; i < messages; ++i) {
      std::vector<std::string> keys;
      for (int record = 0; record < 10; ++record)
        keys.push_back(record % 2 == 0 ? "hot" : "cold" + std::to_string(10 * i + record));
      publish(keys);
    }
  }
  [[nodiscard]] std::uint32_t shared() const {
    return *shared_part(core_.ledger().topology(), core_.ledger().topology().streams[kOrders]);
  }

  std::int64_t session_ = 0;
  std::uint64_t number_ = 0;
};

TEST_F(HotKeysFromOutside, AreDealtOverAllShardsOfTheSecondStream) {
  publish_half_hot(40);
  const StreamState& orders = core_.ledger().stream(kOrders);
  const StreamState& hot = core_.ledger().stream(shared());
  EXPECT_EQ(orders.records_total() + hot.records_total(), 400U) << "each is in one of them";
  EXPECT_EQ(hot.records_total(), 200U - 15U) << "from the sixteenth on";
  for (std::uint32_t shard = 0; shard < kShards; ++shard) EXPECT_GE(hot.next_offset(shard), 40U) << "shard " << shard;
  EXPECT_EQ(core_.records_in(), 400U);
}

TEST_F(HotKeysFromOutside, AreToldByNameWithTheirShare) {
  publish_half_hot(40);
  const auto hot = core_.hot_keys(kOrders);
  ASSERT_TRUE(hot);
  EXPECT_DOUBLE_EQ(hot->ratio, 185.0 / 400);
  ASSERT_EQ(hot->keys.size(), 1U);
  EXPECT_NEAR(hot->keys[0].second, 0.5, 0.05);
  EXPECT_FALSE(core_.hot_keys(1)) << "of a stream that is not split nothing is said";
  const auto status = nlohmann::json::parse(core_.status_text());
  EXPECT_EQ(status["streams"][kOrders]["hot_keys"]["keys"][0]["key"], "hot");
  EXPECT_FALSE(status["streams"][1].contains("hot_keys"));
}

TEST_F(HotKeysFromOutside, EndWithTheStream) {
  publish_half_hot(3);
  EXPECT_FALSE(core_.ledger().stream(shared()).ended);
  wire::MapWriter message("end");
  message.put("session", session_);
  ask(std::move(message));
  settle();
  EXPECT_TRUE(core_.ledger().stream(kOrders).ended);
  EXPECT_TRUE(core_.ledger().stream(shared()).ended);
}

TEST_F(HotKeysFromOutside, AreNoStreamThatAProducerNames) {
  wire::MapWriter message("open");
  message.put("stream", "orders.hot");
  const auto got = ask(std::move(message));
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].text("error"),
            "stream \"orders.hot\" is a part of another one: records for it come by that one's name");
}

TEST_F(HotKeysFromOutside, AreNotReplayed) {
  publish_half_hot(3);
  for (const std::uint32_t stream : {kOrders, shared()}) {
    const auto why = core_.why_no_replay(0, stream);
    ASSERT_TRUE(why);
    EXPECT_EQ(*why,
              "stage \"count\" reads \"orders\", whose hot keys are split: partial results are on their way to other "
              "shards, and would come twice or be missing; start over with --fresh");
  }
}

}  // namespace
}  // namespace weir::core
