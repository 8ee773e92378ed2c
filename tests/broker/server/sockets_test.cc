// SPDX-License-Identifier: Apache-2.0
#include "broker/server/sockets.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/broker/server/raw_pusher.h"
#include "tests/support/temporary_folder.h"

namespace weir::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr Sockets::Bounds kBounds{1 << 20, 1 << 20};

TEST(Sockets, TakeTheTwoPortsBehindTheOneThatIsGiven) {
  const testing_host::TemporaryFolder folder;
  // Which ports are free is known only once they are taken: those beside a free one may not be.
  for (int attempt = 0; attempt < 100; ++attempt) {
    auto free = Sockets::open("tcp://127.0.0.1:0", folder / "", kBounds);
    ASSERT_TRUE(free.ok()) << free.error().message;
    const int port = port_of((*free)->endpoint());
    free->reset();
    const auto opened = Sockets::open(fmt::format("tcp://127.0.0.1:{}", port), folder / "", kBounds);
    if (!opened.ok()) {
      ASSERT_EQ(opened.error().code, Code::kInUse) << opened.error().message;
      continue;
    }
    EXPECT_EQ((*opened)->endpoint(), fmt::format("tcp://127.0.0.1:{}", port));
    EXPECT_EQ((*opened)->commits_endpoint(), fmt::format("tcp://127.0.0.1:{}", port + 1));
    EXPECT_EQ((*opened)->news_endpoint(), fmt::format("tcp://127.0.0.1:{}", port + 2));
    const auto second = Sockets::open(fmt::format("tcp://127.0.0.1:{}", port - 2), folder / "", kBounds);
    ASSERT_FALSE(second.ok()) << "the port of its PUB socket is taken";
    EXPECT_EQ(second.error().code, Code::kInUse);
    return;
  }
  FAIL() << "no three free ports in a row";
}

TEST(Sockets, HangUpOnWhoSendsPartsWithoutEnd) {
  const testing_host::TemporaryFolder folder;
  constexpr std::uint64_t kCommitBytesMax = 1 << 20;
  const auto opened = Sockets::open("tcp://127.0.0.1:0", folder / "", {kCommitBytesMax, 0});
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  Sockets& sockets = **opened;
  zmq::context_t context;
  zmq::socket_t honest(context, zmq::socket_type::push);
  honest.set(zmq::sockopt::linger, 0);
  honest.connect(sockets.commits_endpoint());
  RawPusher hostile(port_of(sockets.commits_endpoint()));
  const std::string size{'\x03', 0, 0, 0, 0, 0, 1, 0, 0};  // 64 KiB, and more to follow
  const std::string part = size + std::string(1 << 16, 'x');
  const std::string message(200'000, 'm');
  std::uint64_t sent = 0;
  std::uint64_t honest_sent = 0;
  std::uint64_t honest_came = 0;
  std::size_t at = 0;
  bool hung_up = false;
  // In all the honest one sends far more than may be under way.
  const auto until = steady_clock::now() + seconds(60);
  while ((!hung_up || honest_came < 100) && steady_clock::now() < until) {
    if (!hung_up) {
      const auto taken = hostile.say(std::string_view(part).substr(at));
      // Where its window was closed, the kernel tells the sender of the end, and takes a minute to tell of the reset.
      hung_up = !taken || hostile.hung_up();
      sent += taken.value_or(0);
      at = (at + taken.value_or(0)) % part.size();
    }
    if (honest_sent - honest_came < 5 && honest.send(zmq::buffer(message), zmq::send_flags::dontwait)) ++honest_sent;
    sockets.wait({}, milliseconds(1));
    while (const auto commit = sockets.receive_commit()) {
      EXPECT_EQ(commit->bytes.size(), message.size());
      ++honest_came;
    }
  }
  EXPECT_TRUE(hung_up);
  EXPECT_GT(sent, 2 * kCommitBytesMax);
  EXPECT_GE(honest_came, 100U) << "of " << honest_sent;
}

TEST(Sockets, TakeWhatAWorkerSaysAtOnceAsMessagesAndLookOnlyWhereSomethingCame) {
  const testing_host::TemporaryFolder folder;
  const auto opened = Sockets::open("", folder / "", kBounds);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  Sockets& sockets = **opened;
  zmq::context_t context;
  zmq::socket_t worker(context, zmq::socket_type::push);
  worker.set(zmq::sockopt::linger, 0);
  worker.connect(sockets.commits_endpoint());
  const auto text_of = [](const std::optional<core::Buffer>& message) {
    return message ? std::string(reinterpret_cast<const char*>(message->bytes.data()), message->bytes.size())
                   : std::string("nothing");
  };
  ASSERT_TRUE(worker.send(zmq::str_buffer("credit"), zmq::send_flags::sndmore));
  ASSERT_TRUE(worker.send(zmq::str_buffer("commit"), zmq::send_flags::none));
  std::vector<std::string> came;
  for (const auto until = steady_clock::now() + seconds(60); came.empty() && steady_clock::now() < until;) {
    if (!sockets.wait({}, milliseconds(100)).commits) continue;
    while (const auto message = sockets.receive_commit()) came.push_back(text_of(message));
  }
  EXPECT_EQ(came, (std::vector<std::string>{"credit", "commit"}));
  (void)sockets.receive_client();
  // What has been read to its end is not looked at again before something comes: the connection's own words, at most.
  bool quiet = false;
  for (const auto until = steady_clock::now() + seconds(60); !quiet && steady_clock::now() < until;) {
    const Sockets::Ready ready = sockets.wait({}, milliseconds(20));
    quiet = !ready.commits && !ready.clients;
    EXPECT_EQ(text_of(sockets.receive_commit()), "nothing");
    EXPECT_FALSE(sockets.receive_client());
  }
  EXPECT_TRUE(quiet);
  // A reply takes in what the descriptor would tell of: whoever waits next looks.
  sockets.reply("nobody", {});
  EXPECT_TRUE(sockets.wait({}, milliseconds(0)).clients);
}

class News : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = Sockets::open("", folder_ / "", kBounds);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    sockets_ = std::move(*opened);
  }
  zmq::socket_t subscriber(const std::string& topic) {
    zmq::socket_t socket(context_, zmq::socket_type::sub);
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::subscribe, topic);
    socket.connect(sockets_->news_endpoint());
    return socket;
  }
  /// Subscriptions travel: waits until it is so, with a deadline.
  bool becomes(bool wanted, const std::string& topic) {
    for (const auto until = steady_clock::now() + seconds(20); steady_clock::now() < until;) {
      if (sockets_->wanted(topic) == wanted) return true;
      sockets_->wait({}, milliseconds(1));
    }
    return false;
  }

  testing_host::TemporaryFolder folder_;
  zmq::context_t context_;
  std::unique_ptr<Sockets> sockets_;
};

TEST_F(News, GoToWhoeverHasSubscribedToTheTopic) {
  EXPECT_FALSE(sockets_->wanted("status"));
  sockets_->publish("status", Bytes(3));  // to nobody
  zmq::socket_t first = subscriber("status");
  ASSERT_TRUE(becomes(true, "status"));
  EXPECT_FALSE(sockets_->wanted("other"));
  const BytesView said = as_bytes("all is well");
  sockets_->publish("status", Bytes(said.begin(), said.end()));
  first.set(zmq::sockopt::rcvtimeo, 20'000);
  zmq::message_t topic;
  zmq::message_t message;
  ASSERT_TRUE(first.recv(topic));
  ASSERT_TRUE(first.recv(message));
  EXPECT_EQ(topic.to_string(), "status");
  EXPECT_EQ(message.to_string(), "all is well");
  first.close();
  EXPECT_TRUE(becomes(false, "status"));
}

TEST_F(News, NeverWaitForASubscriberThatDoesNotRead) {
  const zmq::socket_t lazy = subscriber("status");
  ASSERT_TRUE(becomes(true, "status"));
  for (int i = 0; i < 2000; ++i) sockets_->publish("status", Bytes(100'000));
}

}  // namespace
}  // namespace weir::server
