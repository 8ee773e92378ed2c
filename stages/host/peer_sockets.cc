// SPDX-License-Identifier: Apache-2.0
#include "stages/host/peer_sockets.h"

#include <fmt/format.h>
#include <zmq.h>

#include "sdk/wire/zmq_bytes.h"

namespace weir::host {

namespace {

// What a peer was sent before nothing more is sent to it is still taken by one that has much to do: it waits for it.
constexpr int kLingerMs = 10'000;
constexpr int kFarewellMs = 1'000;

}  // namespace

PeerSockets::Peer::Peer(zmq::context_t& context)
    : socket(context, zmq::socket_type::push), events(context, zmq::socket_type::pair) {}

// Events that nobody takes any more would hold up the context's only I/O thread for ever, and with it everything that
// this worker says: first there are no more, then their socket goes, then the connection, which may linger.
PeerSockets::Peer::~Peer() { (void)zmq_socket_monitor(socket.handle(), nullptr, 0); }

void PeerSockets::connect(Incarnation peer, const std::string& inbox) {
  peers_.erase(peer);
  Peer& added = peers_.try_emplace(peer, context_).first->second;
  added.socket.set(zmq::sockopt::sndhwm, 0);  // credit bounds what is under way
  added.socket.set(zmq::sockopt::linger, kLingerMs);
  added.socket.set(zmq::sockopt::reconnect_ivl, -1);
  const std::string events = fmt::format("inproc://peer-{}", peer.value());
  added.events.set(zmq::sockopt::linger, 0);
  if (zmq_socket_monitor(added.socket.handle(), events.c_str(), ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED) != 0)
    throw zmq::error_t();
  added.events.connect(events);
  added.socket.connect(inbox);
}

void PeerSockets::close() {
  for (auto& [incarnation, peer] : peers_) peer.socket.set(zmq::sockopt::linger, kFarewellMs);
  peers_.clear();
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
    while (!peer.lost) {
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
