// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "sdk/base/bytes.h"
#include "sdk/base/result.h"

namespace weir::client {

/// A DEALER to the ROUTER of a broker: one frame a message, each a MessagePack map (sdk/wire/map.h). ZeroMQ connects in
/// the background and again when the peer returns, losing what was under way: answers are what proves arrival.
/// One thread at a time.
class ClientConnection {
 public:
  /// Errors: kInvalid where `endpoint` is none.
  static Result<ClientConnection> open(const std::string& endpoint);
  /// To the broker at `where`: its endpoint, or the data directory that it holds. Errors: also those of
  /// read_endpoint().
  static Result<ClientConnection> open_at(const std::string& where);

  ClientConnection(ClientConnection&&) noexcept;
  ClientConnection& operator=(ClientConnection&&) noexcept;
  ~ClientConnection();

  /// False where the queue is full: nothing was taken.
  bool send(BytesView message);
  /// The next message that arrives within `patience`.
  std::optional<Bytes> receive(std::chrono::milliseconds patience);
  /// Sends and waits for one answer. Errors: kUnavailable when none came in time; kRefused with the broker's sentence;
  /// kNotFound as soon as `gone`, where given, says that there is no broker (any more).
  Result<Bytes> ask(BytesView request, std::chrono::milliseconds deadline = std::chrono::seconds(10),
                    const std::function<bool()>& gone = {});

 private:
  struct Sockets;
  explicit ClientConnection(std::unique_ptr<Sockets> sockets, std::string endpoint);
  std::unique_ptr<Sockets> sockets_;
  std::string endpoint_;
};

}  // namespace weir::client
