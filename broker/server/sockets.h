// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "broker/core/buffer.h"
#include "broker/server/peer_watch.h"
#include "sdk/base/ids.h"
#include "sdk/base/result.h"
#include "sdk/wire/zmq_inbox.h"

namespace weir::server {

/// The broker's ZeroMQ sockets: one ROUTER for everyone, one PULL for what workers commit, one PUSH per incarnation,
/// and one PUB for what is for all and replaced by what comes later. Nothing rests on a bare socket (design notes in
/// broker/README.md): a PUSH never reconnects, and nothing is sent before its peer has said that it is ready. Thread:
/// the server's.
class Sockets {
 public:
  struct Bounds {
    std::uint64_t commit_bytes = 0;           ///< a worker that sends more than this at once is cut off
    std::uint64_t commit_bytes_together = 0;  ///< all workers may have this under way
  };
  /// `listen`: "" for ipc sockets in `directory`, or tcp://host:port. Errors: kInUse, kInvalid.
  static Result<std::unique_ptr<Sockets>> open(const std::string& listen, const std::string& directory,
                                               const Bounds& bounds);
  ~Sockets();

  [[nodiscard]] const std::string& endpoint() const { return endpoint_; }
  [[nodiscard]] const std::string& commits_endpoint() const { return commits_endpoint_; }

  [[nodiscard]] const std::string& news_endpoint() const { return news_endpoint_; }

  static constexpr std::size_t kDescriptorsMax = 3;
  /// What is to be looked at. The rest has nothing: each look would cost a system call.
  struct Ready {
    bool clients = false;
    bool commits = false;
    std::array<bool, kDescriptorsMax> descriptors{};
  };
  /// Waits until a socket, `descriptors[i]` or `timeout` is due. REQUIRES: at most kDescriptorsMax of them.
  Ready wait(std::span<const int> descriptors, std::chrono::milliseconds timeout);

  /// The next message of a worker, if there is one: what it says at once comes as parts of one, each a message of its
  /// own.
  std::optional<core::Buffer> receive_commit();
  struct FromClient {
    std::string client;
    Bytes message;
  };
  std::optional<FromClient> receive_client();

  void connect(Incarnation incarnation, const std::string& inbox);
  void disconnect(Incarnation incarnation);
  void send(Incarnation incarnation, Bytes message);
  void reply(const std::string& client, Bytes message);
  /// Somebody has subscribed to `topic`.
  [[nodiscard]] bool wanted(const std::string& topic);
  /// To all who have subscribed; whoever is too slow for it misses it.
  void publish(const std::string& topic, Bytes message);

 private:
  Sockets() = default;
  void note_taken(std::size_t socket, zmq::message_t& part);

  zmq::context_t context_{1};
  zmq::socket_t router_;
  zmq::socket_t commits_;
  wire::ZmqInbox clients_inbox_;                     ///< of router_
  wire::ZmqInbox commits_inbox_;                     ///< of commits_
  zmq::socket_t news_;                               ///< XPUB: a PUB that also says who subscribes
  std::vector<std::unique_ptr<PeerWatch>> watches_;  ///< of router_, commits_, news_; none for ipc sockets
  std::set<std::string> subscriptions_;
  std::map<Incarnation, zmq::socket_t> workers_;
  std::string endpoint_;
  std::string commits_endpoint_;
  std::string news_endpoint_;
  std::string runtime_directory_;  ///< made here because the data directory's path is too long; removed at the end
  std::vector<std::string> socket_files_;
};

}  // namespace weir::server
