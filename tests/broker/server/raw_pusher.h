// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>
#include <string_view>

namespace weir::server {

inline int port_of(const std::string& endpoint) { return std::stoi(endpoint.substr(endpoint.rfind(':') + 1)); }

/// A connection that speaks as much of ZMTP as it takes to send parts of a message.
class RawPusher {
 public:
  explicit RawPusher(int port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    std::string greeting(64, '\0');
    greeting[0] = '\xff';
    greeting[9] = '\x7f';
    greeting[10] = 3;
    greeting.replace(12, 4, "NULL");
    say(greeting);
    hear(greeting.size());
    say(std::string("\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PUSH", 28));
    hear(static_cast<unsigned char>(hear(2)[1]));  // its READY: only behind it messages are taken
  }
  RawPusher(const RawPusher&) = delete;
  RawPusher& operator=(const RawPusher&) = delete;
  ~RawPusher() { ::close(socket_); }

  /// The other side has hung up.
  [[nodiscard]] bool hung_up() const {
    char byte = 0;
    const ssize_t got = ::recv(socket_, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return got == 0 || (got < 0 && errno != EAGAIN);
  }
  /// As much of it as is taken now; nothing where the other side has hung up.
  std::optional<std::size_t> say(std::string_view text) {
    const ssize_t sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    return errno == EAGAIN ? std::optional<std::size_t>(0) : std::nullopt;
  }

 private:
  std::string hear(std::size_t size) {
    std::string heard(size, '\0');
    EXPECT_EQ(::recv(socket_, heard.data(), size, MSG_WAITALL), static_cast<ssize_t>(size));
    return heard;
  }

  const int socket_;
};

}  // namespace weir::server
