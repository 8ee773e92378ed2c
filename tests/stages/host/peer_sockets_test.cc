// SPDX-License-Identifier: Apache-2.0
#include "stages/host/peer_sockets.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>

#include "tests/support/temporary_folder.h"

namespace weir::host {
namespace {

using namespace std::chrono_literals;

constexpr Incarnation kPeer{7};
constexpr int kPatienceMs = 5000;

/// The inbox of another worker, in a context of its own as in a process of its own.
struct Inbox {
  explicit Inbox(const std::string& endpoint) : socket(context, zmq::socket_type::pull) {
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::rcvhwm, 1);
    socket.set(zmq::sockopt::rcvtimeo, kPatienceMs);
    socket.bind(endpoint);
  }
  [[nodiscard]] bool hears() {
    zmq::message_t message;
    return socket.recv(message).has_value();
  }

  zmq::context_t context;
  zmq::socket_t socket;
};

class PeerSocketsTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::string endpoint(const std::string& name) const { return "ipc://" + (folder_ / name); }

  const testing_host::TemporaryFolder folder_;
  zmq::context_t context_;
  PeerSockets sockets_{context_};
};

TEST_F(PeerSocketsTest, AConnectionThatEndsBehindItsPeerHoldsNothingUp) {
  Inbox broker(endpoint("broker"));
  zmq::socket_t commits(context_, zmq::socket_type::push);
  commits.set(zmq::sockopt::linger, 0);
  commits.connect(endpoint("broker"));
  std::optional<Inbox> peer(std::in_place, endpoint("peer"));
  sockets_.connect(kPeer, endpoint("peer"));
  for (int i = 0; i < 50; ++i) sockets_.send(kPeer, Bytes(1 << 20));  // more than it takes in: the rest lingers
  ASSERT_TRUE(peer->hears());
  sockets_.disconnect(kPeer);
  peer.reset();
  for (int i = 0; i < 10; ++i) {
    (void)commits.send(zmq::str_buffer("beat"), zmq::send_flags::dontwait);
    ASSERT_TRUE(broker.hears()) << "nothing of this process leaves any more, from beat " << i << " on";
  }
}

TEST_F(PeerSocketsTest, NoticesAConnectionThatEndsWhileItsPeerIsHere) {
  std::optional<Inbox> peer(std::in_place, endpoint("peer"));
  sockets_.connect(kPeer, endpoint("peer"));
  sockets_.send(kPeer, Bytes(1));
  ASSERT_TRUE(peer->hears());
  EXPECT_FALSE(sockets_.any_lost_before(Monotonic{100}, Monotonic{200}));
  peer.reset();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
  while (!sockets_.any_lost_before(Monotonic{100}, Monotonic{101}))
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "the end was not noticed";
  EXPECT_FALSE(sockets_.any_lost_before(Monotonic{300}, Monotonic{100})) << "it was lost at 100";
  sockets_.disconnect(kPeer);
  EXPECT_FALSE(sockets_.any_lost_before(Monotonic{300}, Monotonic{300})) << "of one that is gone nothing is lost";
}

}  // namespace
}  // namespace weir::host
