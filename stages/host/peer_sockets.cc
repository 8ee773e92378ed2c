// SPDX-License-Identifier: Apache-2.0
#include "stages/host/peer_sockets.h"

#include <fmt/format.h>
#include <zmq.h>

#include "sdk/wire/zmq_bytes.h"

namespace weir::host {

void PeerSockets::connect(Incarnation peer, const std::string& inbox) {
  Peer added;
  added.socket = zmq::socket_t(context_, zmq::socket_type::push);
  added.socket.set(zmq::sockopt::sndhwm, 0);  // credit bounds what is under way
  added.socket.set(zmq::sockopt::linger, 1000);
  added.socket.set(zmq::sockopt::reconnect_ivl, -1);
  const std::string events = fmt::format("inproc://peer-{}", peer.value());
  if (zmq_socket_monitor(added.socket.handle(), events.c_str(), ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED) == 0) {
    added.events = zmq::socket_t(context_, zmq::socket_type::pair);
    added.events.set(zmq::sockopt::linger, 0);
    added.events.connect(events);
  }
  added.socket.connect(inbox);
  peers_.insert_or_assign(peer, std::move(added));
}

void PeerSockets::send(Incarnation peer, Bytes message) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  zmq::message_t outgoing = wire::zmq_message(std::move(message));
  while (true) {
    try {
      // Without a connection it is lost with it.
      (void)found->second.socket.send(outgoing, zmq::send_flags::dontwait);
      return;
    } catch (const zmq::error_t& error) {
      if (error.num() != EINTR) throw;  // a signal, whose handler was to run (leave_signal.h)
    }
  }
}

bool PeerSockets::any_lost_before(Monotonic now, Monotonic before) {
  bool any = false;
  for (auto& [incarnation, peer] : peers_) {
    zmq::message_t event;
    while (!peer.lost && peer.events.handle() != nullptr) {
      try {
        if (!peer.events.recv(event, zmq::recv_flags::dontwait)) break;
        peer.lost = now;
      } catch (const zmq::error_t& error) {
        if (error.num() != EINTR) throw;
      }
    }
    any |= peer.lost && *peer.lost < before;
  }
  return any;
}

}  // namespace weir::host
