// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <zmq.hpp>

namespace weir::wire {

/// A socket that one thread reads to the end and then waits for by its descriptor, beside whatever else it waits for:
/// one poll(). libzmq's own poll asks the kernel once for each socket and twice for all, before it waits and after it.
///
/// The descriptor tells that a socket has something to do, not that it has a message (zmq_getsockopt(3), ZMQ_FD): what
/// was there before stays untold. So whoever waits asks surely_empty() first, and who is woken receives. Thread: the
/// owner's. Errors: zmq::error_t, as libzmq's.
class ZmqInbox {
 public:
  ZmqInbox() = default;
  /// `socket` outlives this.
  explicit ZmqInbox(zmq::socket_t& socket) : socket_(&socket), descriptor_(socket.get(zmq::sockopt::fd)) {}

  /// The next part, if there is one.
  bool receive(zmq::message_t& part) {
    const bool received = socket_->recv(part, zmq::recv_flags::dontwait).has_value();
    surely_empty_ = !received;
    return received;
  }
  /// Something was sent by it, which takes in what the descriptor would have told of.
  void sent() { surely_empty_ = false; }

  /// Nothing was there at the last look, and what has come since makes the descriptor readable.
  [[nodiscard]] bool surely_empty() const { return surely_empty_; }
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  zmq::socket_t* socket_ = nullptr;
  int descriptor_ = -1;
  bool surely_empty_ = false;
};

}  // namespace weir::wire
