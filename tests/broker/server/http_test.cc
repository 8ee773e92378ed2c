// SPDX-License-Identifier: Apache-2.0
#include "broker/server/http.h"

#include <gtest/gtest.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace weir::server {
namespace {

/// A connection to a port of this host, closed with the object.
class Peer {
 public:
  explicit Peer(int port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }
  Peer(Peer&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  Peer& operator=(Peer&&) = delete;
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() {
    if (socket_ >= 0) ::close(socket_);
  }
  void say(const std::string& text) { (void)!::send(socket_, text.data(), text.size(), MSG_NOSIGNAL); }

 private:
  int socket_;
};

std::unique_ptr<Http> open_port() {
  auto port = Http::open("127.0.0.1:0", false, [](const std::string& path) {
    return HttpAnswer{200, "text/plain", path};
  });
  EXPECT_TRUE(port.ok());
  return std::move(*port);
}

int number_of(const Http& port) { return std::stoi(port.address().substr(port.address().rfind(':') + 1)); }

TEST(Http, AnswersSeveralRequestsOfAConnectionAndOnlyGet) {
  const auto port = open_port();
  httplib::Client client("127.0.0.1", number_of(*port));
  client.set_keep_alive(true);
  for (const char* path : {"/healthz", "/metrics", "/api/status"}) {
    const auto answer = client.Get(path);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body, path);
  }
  const auto refused = client.Post("/healthz", "x", "text/plain");
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 405);
}

TEST(Http, AnswersThoughACrowdNeverEndsItsRequests) {
  auto port = open_port();
  std::vector<Peer> peers;
  for (int i = 0; i < 300; ++i) peers.emplace_back(number_of(*port)).say("GET /");
  for (int i = 0; i < 20; ++i) {
    httplib::Client client("127.0.0.1", number_of(*port));
    client.set_read_timeout(60, 0);
    const auto answer = client.Get("/healthz");
    ASSERT_TRUE(answer) << "request " << i;
    EXPECT_EQ(answer->body, "/healthz");
    for (int more = 0; more < 40; ++more) peers.emplace_back(number_of(*port)).say("GET /");
  }
  port.reset();  // comes to its end though the peers do not
}

TEST(Http, AnswersThoughACrowdAsksAgainAndAgainAndReadsNothing) {
  auto port = open_port();
  std::string all;
  for (int i = 0; i < 90; ++i) all += "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
  std::vector<Peer> peers;
  for (int i = 0; i < 200; ++i) peers.emplace_back(number_of(*port)).say(all);
  for (int i = 0; i < 20; ++i) {
    httplib::Client client("127.0.0.1", number_of(*port));
    client.set_read_timeout(60, 0);
    const auto answer = client.Get("/healthz");
    ASSERT_TRUE(answer) << "request " << i;
    EXPECT_EQ(answer->body, "/healthz");
  }
}

}  // namespace
}  // namespace weir::server
