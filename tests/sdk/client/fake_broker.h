// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <zmq.hpp>

#include "sdk/base/bytes.h"
#include "sdk/wire/map.h"

namespace weir {

/// Hears what clients say to a broker, over a socket of its own, and has a test answer. Thread: its own.
class FakeBroker {
 public:
  using Say = std::function<void(const Bytes& answer)>;
  using Hear = std::function<void(const wire::MapReader& said, const Say& say)>;

  explicit FakeBroker(Hear hear) : hear_(std::move(hear)) {
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
  /// Behind it the test may look at what it has heard.
  void end() {
    ends_ = true;
    if (thread_.joinable()) thread_.join();
  }

  std::string endpoint;

 private:
  void serve() {
    zmq::pollitem_t item{socket_.handle(), 0, ZMQ_POLLIN, 0};
    zmq::poll(&item, 1, std::chrono::milliseconds(10));
    zmq::message_t from;
    zmq::message_t message;
    if (!socket_.recv(from, zmq::recv_flags::dontwait) || !socket_.recv(message)) return;
    const auto said = wire::MapReader::parse({static_cast<const std::byte*>(message.data()), message.size()});
    hear_(*said, [&](const Bytes& answer) {
      socket_.send(zmq::buffer(from.to_string()), zmq::send_flags::sndmore);
      socket_.send(zmq::buffer(answer.data(), answer.size()), zmq::send_flags::none);
    });
  }

  Hear hear_;
  std::atomic<bool> ends_{false};
  zmq::context_t context_;
  zmq::socket_t socket_{context_, zmq::socket_type::router};
  std::thread thread_;
};

}  // namespace weir
