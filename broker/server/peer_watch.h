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

namespace weir::server {

/// Bounds what one peer of a socket can have under way. libzmq bounds the parts of a message and the messages that
/// wait, but keeps the parts of a message that is not whole yet, however many: who sends parts without end would fill
/// the process. So what the kernel has received of a TCP connection is compared with what has been taken of it, and who
/// is too far ahead is hung up on. Peers of an ipc socket are not watched: they are let in by the file's rights.
/// Threads: took() belongs to the socket's; one of its own ("peer watch") compares, since the socket's may be busy
/// while a gigabyte comes. Lifetime: `socket` must outlive it.
class PeerWatch {
 public:
  static constexpr std::chrono::milliseconds kEvery{20};

  /// REQUIRES: before `socket` is bound. `bytes_max`: more than an honest peer ever has under way.
  PeerWatch(zmq::context_t& context, zmq::socket_t& socket, std::string_view name, std::uint64_t bytes_max);
  ~PeerWatch();
  PeerWatch(const PeerWatch&) = delete;
  PeerWatch& operator=(const PeerWatch&) = delete;

  /// A part of a message has been received.
  void took(zmq::message_t& part);

 private:
  struct Peer {
    std::uint64_t cookie = 0;  ///< tells its connection from a later one with the same number
    std::uint64_t taken = 0;
    bool cut = false;
  };
  void run();
  void hear();
  void look();

  zmq::socket_t& socket_;
  std::mutex mutex_;  // guards all below; libzmq asks for no more where a socket goes from thread to thread
  zmq::socket_t events_;
  const std::string name_;
  const std::uint64_t bytes_max_;
  std::map<int, Peer> peers_;  ///< by the connection's descriptor, which is libzmq's
  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace weir::server
