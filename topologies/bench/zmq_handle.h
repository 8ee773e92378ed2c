// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <zmq.h>

#include <string>

namespace weir::bench {

/// A context with its sockets, for one forked process of a baseline. Calls that fail answer false.
class ZmqContext {
 public:
  ZmqContext() : context_(::zmq_ctx_new()) {}
  ZmqContext(const ZmqContext&) = delete;
  ZmqContext& operator=(const ZmqContext&) = delete;
  /// Waits until what was sent has left.
  ~ZmqContext() { ::zmq_ctx_term(context_); }

  [[nodiscard]] void* get() const { return context_; }

 private:
  void* context_;
};

/// One socket. Receiving gives up after kReceiveMsMax, so that a peer that died leaves nobody behind.
class ZmqSocket {
 public:
  static constexpr int kReceiveMsMax = 60'000;

  ZmqSocket(const ZmqContext& context, int type) : socket_(::zmq_socket(context.get(), type)) {
    const int wait = kReceiveMsMax;
    ::zmq_setsockopt(socket_, ZMQ_RCVTIMEO, &wait, sizeof wait);
    ::zmq_setsockopt(socket_, ZMQ_SNDTIMEO, &wait, sizeof wait);
  }
  ZmqSocket(const ZmqSocket&) = delete;
  ZmqSocket& operator=(const ZmqSocket&) = delete;
  ~ZmqSocket() { ::zmq_close(socket_); }

  [[nodiscard]] bool bind(const std::string& endpoint) const { return ::zmq_bind(socket_, endpoint.c_str()) == 0; }
  [[nodiscard]] bool connect(const std::string& endpoint) const {
    return ::zmq_connect(socket_, endpoint.c_str()) == 0;
  }
  [[nodiscard]] void* get() const { return socket_; }

 private:
  void* socket_;
};

/// One message, received and sent on without a copy.
class ZmqMessage {
 public:
  ZmqMessage() { ::zmq_msg_init(&message_); }
  ZmqMessage(const ZmqMessage&) = delete;
  ZmqMessage& operator=(const ZmqMessage&) = delete;
  ~ZmqMessage() { ::zmq_msg_close(&message_); }

  [[nodiscard]] bool receive(const ZmqSocket& socket) { return ::zmq_msg_recv(&message_, socket.get(), 0) >= 0; }
  [[nodiscard]] bool send(const ZmqSocket& socket) { return ::zmq_msg_send(&message_, socket.get(), 0) >= 0; }
  [[nodiscard]] std::size_t size() const { return ::zmq_msg_size(&message_); }
  [[nodiscard]] const void* bytes() { return ::zmq_msg_data(&message_); }

 private:
  zmq_msg_t message_;
};

/// A name in no folder, of this process and its children alone.
std::string private_endpoint(const char* name);

}  // namespace weir::bench
