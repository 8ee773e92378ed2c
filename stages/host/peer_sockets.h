// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <zmq.hpp>

#include "sdk/base/bytes.h"
#include "sdk/base/clock.h"
#include "sdk/base/ids.h"

namespace weir::host {

/// A PUSH socket to the inbox of each other worker that this one has to do with. None connects again, so that nothing
/// reaches a successor; one whose connection ends is noticed. Credit bounds what is under way on each.
/// Thread: the runner's. Lifetime: `context` must outlive it.
class PeerSockets {
 public:
  explicit PeerSockets(zmq::context_t& context) : context_(context) {}

  void connect(Incarnation peer, const std::string& inbox);
  /// What it was sent may still leave, for ten seconds.
  void disconnect(Incarnation peer) { peers_.erase(peer); }
  /// Of all; what they were sent may still leave, for a second.
  void close();
  void send(Incarnation peer, Bytes message);
  /// Looks which connections have ended; whether one had before `before` and the peer is still here.
  [[nodiscard]] bool any_lost_before(Monotonic now, Monotonic before);

 private:
  struct Peer {
    explicit Peer(zmq::context_t& context);
    ~Peer();
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    zmq::socket_t socket;
    zmq::socket_t events;  ///< of its connection
    std::optional<Monotonic> lost;
  };
  zmq::context_t& context_;
  std::map<Incarnation, Peer> peers_;
};

}  // namespace weir::host
