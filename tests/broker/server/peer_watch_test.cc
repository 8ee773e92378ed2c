// SPDX-License-Identifier: Apache-2.0
// What peers of a socket cost together: how many there are, and what they have under way.
#include "broker/server/peer_watch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "tests/broker/server/raw_pusher.h"

namespace weir::server {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

/// A socket that is watched.
class PeerWatchTest : public testing::Test {
 protected:
  void open(PeerWatch::Limits limits) {
    socket_.set(zmq::sockopt::linger, 0);
    watch_ = std::make_unique<PeerWatch>(context_, socket_, "a socket of the test", limits);
    socket_.bind("tcp://127.0.0.1:*");
  }
  int port() { return port_of(socket_.get(zmq::sockopt::last_endpoint)); }
  void take() {
    zmq::message_t part;
    while (socket_.recv(part, zmq::recv_flags::dontwait)) {
      watch_->took(part);
      ++came_;
    }
  }
  bool becomes(const std::function<bool()>& is) {
    for (const auto until = steady_clock::now() + seconds(20); steady_clock::now() < until;) {
      take();
      if (is()) return true;
      zmq::pollitem_t item{socket_.handle(), 0, ZMQ_POLLIN, 0};
      zmq::poll(&item, 1, std::chrono::milliseconds(1));
    }
    return false;
  }

  zmq::context_t context_;
  zmq::socket_t socket_{context_, zmq::socket_type::pull};
  std::unique_ptr<PeerWatch> watch_;
  std::uint64_t came_ = 0;  ///< messages
};

constexpr std::uint64_t kPlenty = 1ULL << 40;

TEST_F(PeerWatchTest, HangsUpOnTheOldestOfThoseThatHaveSaidNothing) {
  open({kPlenty, kPlenty, 4});
  RawPusher speaks(port());
  ASSERT_TRUE(speaks.say(std::string("\0\5hello", 7)));
  ASSERT_TRUE(becomes([&] { return came_ == 1; }));
  std::deque<RawPusher> silent;
  for (int i = 0; i < 10; ++i) silent.emplace_back(port());
  const auto cut = [&] {
    return std::count_if(silent.begin(), silent.end(), [](const auto& each) { return each.hung_up(); });
  };
  EXPECT_TRUE(becomes([&] { return cut() == 7; }));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(silent[static_cast<std::size_t>(i)].hung_up(), i < 7) << i;
  EXPECT_FALSE(speaks.hung_up());
  // Where all have spoken the newest goes.
  for (std::size_t i = 7; i < 10; ++i) ASSERT_TRUE(silent[i].say(std::string("\0\5hello", 7)));
  ASSERT_TRUE(becomes([&] { return came_ == 4; }));
  RawPusher late(port());
  EXPECT_TRUE(becomes([&] { return late.hung_up(); }));
  EXPECT_EQ(cut(), 7);
}

TEST_F(PeerWatchTest, HangsUpOnTheOneWithMostUnderWayWhereAllTogetherHaveTooMuch) {
  open({kPlenty, 1 << 20, 100});
  RawPusher small(port());
  RawPusher large(port());
  // The beginnings of messages that never come to their end: nothing of them is taken.
  const std::string begins{'\2', 0, 0, 0, 0, 1, 0, 0, 0};
  const std::string block(1 << 14, 'x');
  ASSERT_TRUE(small.say(begins + block));
  ASSERT_TRUE(large.say(begins + block));
  // What comes before its connection is known is not counted: it goes on until it is hung up on, short of the whole.
  std::size_t sent = 0;
  EXPECT_TRUE(becomes([&] {
    const auto taken = large.hung_up() ? std::nullopt : large.say(block);
    sent += taken.value_or(0);
    return !taken || sent >= 15 << 20;
  }));
  EXPECT_LT(sent, 15 << 20);
  EXPECT_TRUE(large.hung_up());
  EXPECT_FALSE(small.hung_up());
}

}  // namespace
}  // namespace weir::server
