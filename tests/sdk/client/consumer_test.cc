// SPDX-License-Identifier: Apache-2.0
// A consumer outside a topology, with a broker whose words a test chooses.
#include "weir/consumer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "broker/core/parcel.h"
#include "sdk/wire/batch.h"
#include "sdk/wire/map.h"

namespace weir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kSession = 5;

/// Says what a broker says, over a socket of its own; to the first credit it answers with what it is to deliver.
/// Thread: its own.
class FakeBroker {
 public:
  using Positions = std::vector<std::tuple<std::uint32_t, std::uint32_t, std::uint64_t>>;

  explicit FakeBroker(std::vector<Bytes> deliveries) : deliveries_(std::move(deliveries)) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.bind("tcp://127.0.0.1:*");
    endpoint = socket_.get(zmq::sockopt::last_endpoint);
    thread_ = std::thread([this] {
      while (!ends_) serve();
    });
  }
  FakeBroker(const FakeBroker&) = delete;
  FakeBroker& operator=(const FakeBroker&) = delete;
  ~FakeBroker() { end(); }
  void end() {
    ends_ = true;
    if (thread_.joinable()) thread_.join();
  }

  std::string endpoint;
  std::vector<Positions> acknowledged;  ///< by each request; to be read behind end()

 private:
  void serve() {
    zmq::pollitem_t item{socket_.handle(), 0, ZMQ_POLLIN, 0};
    zmq::poll(&item, 1, milliseconds(10));
    zmq::message_t from;
    zmq::message_t message;
    if (!socket_.recv(from, zmq::recv_flags::dontwait) || !socket_.recv(message)) return;
    const auto map = wire::MapReader::parse({static_cast<const std::byte*>(message.data()), message.size()});
    const auto say = [&](const Bytes& answer) {
      socket_.send(zmq::buffer(from.to_string()), zmq::send_flags::sndmore);
      socket_.send(zmq::buffer(answer.data(), answer.size()), zmq::send_flags::none);
    };
    const auto answer = [&](std::string_view op) {
      wire::MapWriter writer(op);
      writer.put("session", kSession);
      return writer;
    };
    const std::string op = map->op();
    if (op == "consume") {
      wire::MapWriter consuming = answer("consuming");
      consuming.put("positions", std::vector<std::uint64_t>{0});
      say(std::move(consuming).finish());
    } else if (op == "credit") {
      for (const Bytes& delivery : std::exchange(deliveries_, {})) say(delivery);
    } else if (op == "acknowledge") {
      acknowledged.push_back(map->find("positions")->as<Positions>());
      wire::MapWriter done = answer("acknowledged");
      done.put("number", map->integer("number", 0));
      say(std::move(done).finish());
    } else if (op == "leave") {
      say(answer("left").finish());
    }
  }

  std::vector<Bytes> deliveries_;
  std::atomic<bool> ends_{false};
  zmq::context_t context_;
  zmq::socket_t socket_{context_, zmq::socket_type::router};
  std::thread thread_;
};

/// The record at `offset` of shard 0, alone.
Bytes delivery_of(std::uint64_t offset, std::uint64_t number) {
  Bytes batch;
  wire::append_record(batch, {0, wire::nil_bytes(), wire::nil_bytes(), {}});
  core::Parcel parcel;
  parcel.add(1, {0, offset, 1, batch});
  return parcel.message(kSession, number);
}

TEST(Consumer, AcknowledgesAnEarlierDeliveryWhileALaterOneOfItsShardIsAtHand) {
  FakeBroker broker({delivery_of(0, 1), delivery_of(1, 2)});
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
  EXPECT_EQ(broker.acknowledged, std::vector<FakeBroker::Positions>({{{0, 1, 1}}}));
}

}  // namespace
}  // namespace weir
