// SPDX-License-Identifier: Apache-2.0
#include "broker/server/peer_watch.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <zmq.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "sdk/base/log.h"

namespace weir::server {
namespace {

constexpr Monotonic kCrowdToldEvery = std::chrono::seconds(60);

std::optional<std::uint64_t> cookie_of(int connection) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  if (::getsockopt(connection, SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0) return std::nullopt;
  return cookie;
}

/// Nothing for what is no TCP connection.
std::optional<std::uint64_t> received_by(int connection) {
  tcp_info facts{};
  socklen_t size = sizeof(facts);
  if (::getsockopt(connection, IPPROTO_TCP, TCP_INFO, &facts, &size) != 0) return std::nullopt;
  if (size < offsetof(tcp_info, tcpi_bytes_received) + sizeof(facts.tcpi_bytes_received)) return std::nullopt;
  return facts.tcpi_bytes_received;
}

}  // namespace

PeerWatch::PeerWatch(zmq::context_t& context, zmq::socket_t& socket, std::string_view name, Limits limits)
    : socket_(socket), events_(context, zmq::socket_type::pair), name_(name), limits_(limits) {
  const std::string endpoint = "inproc://peers of " + name_;
  constexpr int kEvents = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED;
  if (zmq_socket_monitor(socket_.handle(), endpoint.c_str(), kEvents) != 0) throw zmq::error_t();
  events_.set(zmq::sockopt::linger, 0);
  events_.set(zmq::sockopt::rcvhwm, 0);  // libzmq's own thread must never wait for who reads them
  events_.connect(endpoint);
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "peer watch");
    run();
  });
}

PeerWatch::~PeerWatch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_one();
  thread_.join();
  (void)zmq_socket_monitor(socket_.handle(), nullptr, 0);
}

void PeerWatch::run() {
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, kEvery, [this] { return stopping_; })) look();
}

void PeerWatch::took(zmq::message_t& part) {
  const int connection = zmq_msg_get(part.handle(), ZMQ_SRCFD);
  if (connection < 0) return;
  const std::lock_guard lock(mutex_);
  auto found = peers_.find(connection);
  if (found == peers_.end()) {  // it has just come
    hear();
    found = peers_.find(connection);
  }
  if (found == peers_.end()) return;
  found->second.taken += part.size() + (part.size() <= 255 ? 2 : 9);
  found->second.spoken = true;
}

void PeerWatch::hear() {
  zmq::message_t event;
  while (events_.recv(event, zmq::recv_flags::dontwait)) {
    std::uint16_t what = 0;
    std::uint32_t connection = 0;
    if (event.size() >= sizeof(what) + sizeof(connection)) {
      std::memcpy(&what, event.data(), sizeof(what));
      std::memcpy(&connection, static_cast<const std::byte*>(event.data()) + sizeof(what), sizeof(connection));
    }
    zmq::message_t endpoint;
    if (event.more()) (void)events_.recv(endpoint, zmq::recv_flags::dontwait);
    const int number = static_cast<int>(connection);
    if (what == ZMQ_EVENT_ACCEPTED) {
      // What has come by now is not counted: it may have been taken under the name of an earlier connection.
      const auto cookie = cookie_of(number);
      if (!cookie) continue;
      peers_[number] = {*cookie, received_by(number).value_or(0), ++accepted_};
      make_room();
    } else {
      peers_.erase(number);
    }
  }
}

void PeerWatch::make_room() {
  const auto cut_already =
      std::count_if(peers_.begin(), peers_.end(), [](const auto& each) { return each.second.cut; });
  if (peers_.size() - static_cast<std::size_t>(cut_already) <= limits_.connections) return;
  // Who has spoken stays before who has not; of these the oldest has had most time to.
  const auto worse = [](const auto& a, const auto& b) {
    if (a.second.cut != b.second.cut) return b.second.cut;
    if (a.second.spoken != b.second.spoken) return b.second.spoken;
    return a.second.spoken ? a.second.number > b.second.number : a.second.number < b.second.number;
  };
  const auto worst = std::min_element(peers_.begin(), peers_.end(), worse);
  const Monotonic now = monotonic_now();
  if (crowd_told_at_.count() == 0 || now - crowd_told_at_ >= kCrowdToldEvery) {
    log::warning("{} has more than {} connections: those that have said nothing are hung up on", name_,
                 limits_.connections);
    crowd_told_at_ = now;
  }
  cut(worst->first, worst->second);
}

void PeerWatch::look() {
  hear();
  std::uint64_t together = 0;
  std::vector<std::pair<std::uint64_t, int>> under_way;
  for (const auto& [connection, peer] : peers_) {
    const auto received = peer.cut ? std::nullopt : received_by(connection);
    if (!received || *received <= peer.taken || cookie_of(connection) != peer.cookie) continue;
    under_way.emplace_back(*received - peer.taken, connection);
    together += under_way.back().first;
  }
  std::sort(under_way.rbegin(), under_way.rend());
  for (const auto& [bytes, connection] : under_way) {
    const bool alone = bytes > limits_.bytes;
    if (!alone && together <= limits_.bytes_together) break;
    if (alone) {
      log::warning("a peer of {} has sent {} bytes of messages that never come to their end: it is hung up on", name_,
                   bytes);
    } else {
      log::warning("peers of {} have {} bytes under way: the one with most of them, {} bytes, is hung up on", name_,
                   together, bytes);
    }
    together -= bytes;
    cut(connection, peers_.at(connection));
  }
}

/// libzmq sees its end, and forgets what came of it.
void PeerWatch::cut(int connection, Peer& peer) {
  peer.cut = true;
  (void)::shutdown(connection, SHUT_RDWR);
}

}  // namespace weir::server
