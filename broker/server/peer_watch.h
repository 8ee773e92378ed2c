// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <zmq.hpp>

#include "sdk/base/clock.h"

namespace weir::server {

/// Bounds what the peers of a socket can have under way, and how many there are. libzmq bounds the parts of a message
/// and the messages that wait, but keeps the parts of a message that is not whole yet, however many: who sends parts
/// without end would fill the process. So what the kernel has received of a TCP connection is compared with what has
/// been taken of it, and who is too far ahead is hung up on; where all together are, the one who is farthest. Of too
/// many connections those go that have said nothing yet, the oldest first, then the newest. Peers of an ipc socket are
/// not watched: they are let in by the file's rights. Threads: took() belongs to the socket's; one of its own ("peer
/// watch") compares, since the socket's may be busy while a gigabyte comes. Lifetime: `socket` must outlive it.
class PeerWatch {
 public:
  static constexpr std::chrono::milliseconds kEvery{20};

  struct Limits {
    std::uint64_t bytes;           ///< more than an honest peer ever has under way
    std::uint64_t bytes_together;  ///< more than all honest peers have
    std::size_t connections;
  };

  /// REQUIRES: before `socket` is bound.
  PeerWatch(zmq::context_t& context, zmq::socket_t& socket, std::string_view name, Limits limits);
  ~PeerWatch();
  PeerWatch(const PeerWatch&) = delete;
  PeerWatch& operator=(const PeerWatch&) = delete;

  /// A part of a message has been received.
  void took(zmq::message_t& part);

 private:
  struct Peer {
    std::uint64_t cookie = 0;  ///< tells its connection from a later one with the same number
    std::uint64_t taken = 0;
    std::uint64_t number = 0;  ///< among all that were accepted
    bool spoken = false;       ///< a part of a message was taken
    bool cut = false;
  };
  void run();
  void hear();
  void look();
  void make_room();
  void cut(int connection, Peer& peer);

  zmq::socket_t& socket_;
  std::mutex mutex_;  // guards all below; libzmq asks for no more where a socket goes from thread to thread
  zmq::socket_t events_;
  const std::string name_;
  const Limits limits_;
  std::map<int, Peer> peers_;  ///< by the connection's descriptor, which is libzmq's
  std::uint64_t accepted_ = 0;
  Monotonic crowd_told_at_{0};
  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace weir::server
