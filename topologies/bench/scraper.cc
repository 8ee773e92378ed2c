// SPDX-License-Identifier: Apache-2.0
#include "topologies/bench/scraper.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "topologies/bench/ticks.h"
#include "topologies/launcher/fd.h"

namespace weir::bench {
namespace {

constexpr std::uint64_t kIntervalNs = 100'000'000;

/// The port of "http://127.0.0.1:PORT" in the directory's endpoint.json; nothing while there is none.
std::optional<std::uint16_t> port_of(const std::string& data_dir) {
  std::ifstream file(data_dir + "/endpoint.json");
  const nlohmann::json endpoint = nlohmann::json::parse(file, nullptr, false);
  if (!endpoint.is_object() || !endpoint.contains("http") || !endpoint["http"].is_string()) return std::nullopt;
  const auto address = endpoint["http"].get<std::string>();
  std::uint16_t port = 0;
  const std::size_t colon = address.rfind(':');
  const auto read = std::from_chars(address.data() + colon + 1, address.data() + address.size(), port);
  return colon == std::string::npos || read.ec != std::errc() ? std::nullopt : std::optional(port);
}

/// Whether metrics came.
bool scrape(std::uint16_t port) {
  const launcher::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval wait{1, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return false;
  constexpr std::string_view kRequest = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  if (::send(socket.get(), kRequest.data(), kRequest.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(kRequest.size()))
    return false;
  std::string answer;
  std::array<char, 16384> part;
  for (ssize_t got = 1; got > 0;) {
    got = ::recv(socket.get(), part.data(), part.size(), 0);
    if (got > 0) answer.append(part.data(), static_cast<std::size_t>(got));
  }
  return answer.find("weir_") != std::string::npos;
}

}  // namespace

void Scraper::look() {
  const std::uint64_t now = ticks_ns();
  if (now - last_ns_ < kIntervalNs) return;
  const auto port = port_of(data_dir_);
  if (!port || !scrape(*port)) return;
  last_ns_ = now;
  ++scraped_;
}

}  // namespace weir::bench
