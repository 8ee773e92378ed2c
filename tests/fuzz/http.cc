// SPDX-License-Identifier: Apache-2.0
// Requests at the broker's HTTP port, the real one, over a connection each. Whatever comes, the port answers with HTTP
// or hangs up, and a plain request behind it is answered.
#include "broker/server/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "tests/fuzz/fuzz.h"

namespace weir::fuzz {
namespace {

constexpr int kPatienceMs = 10'000;
constexpr std::string_view kPlain = "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

const server::Http& port() {
  static const std::unique_ptr<server::Http> http = [] {
    auto opened = server::Http::open("127.0.0.1:0", true, [](const std::string& path) {
      if (path == "/healthz") return server::HttpAnswer{200, "text/plain", "ok\n"};
      return server::HttpAnswer{404, "application/json", "{}"};
    });
    WEIR_CHECK(opened.ok(), opened.error().message);
    return std::move(*opened);
  }();
  return *http;
}

/// Nothing more is awaited behind it: whoever waits for more would have to be told that none comes, and is told so by
/// closing one direction, after which the port answers nobody.
bool is_whole(std::string_view request) {
  return request.ends_with("\r\n\r\n") && request.find("ength") == std::string_view::npos &&
         request.find("ncoding") == std::string_view::npos;
}

/// The beginning of what is answered to `request`; "" where the port hangs up.
std::string ask(std::string_view request) {
  const std::string address = port().address();
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<std::uint16_t>(std::atoi(address.c_str() + address.rfind(':') + 1)));
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int connection = socket(AF_INET, SOCK_STREAM, 0);
  WEIR_CHECK(connection >= 0 && connect(connection, reinterpret_cast<sockaddr*>(&at), sizeof(at)) == 0, "it is there");
  // Hung up on at once: so many connections a second would use up all ports while each lingers.
  const linger none{1, 0};
  (void)setsockopt(connection, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
  (void)send(connection, request.data(), request.size(), MSG_NOSIGNAL);
  if (!is_whole(request)) (void)shutdown(connection, SHUT_WR);
  pollfd readable{connection, POLLIN, 0};
  WEIR_CHECK(poll(&readable, 1, kPatienceMs) > 0, "it neither answers nor hangs up");
  char part[4096];
  const ssize_t got = recv(connection, part, sizeof(part), 0);
  (void)close(connection);
  return {part, static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
}

}  // namespace

std::vector<Bytes> seeds() {
  std::vector<Bytes> list;
  for (const std::string_view text :
       {kPlain,
        std::string_view("GET /metrics HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\nRange: bytes=0-3\r\nConnection: "
                         "close\r\n\r\n"),
        std::string_view("POST /api/status HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"),
        std::string_view("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        std::string_view("HEAD /%2e%2e/?a=b&c=%ff HTTP/1.0\r\n\r\n"),
        std::string_view("GET / HTTP/1.1\r\nUpgrade: h2c\r\nExpect: 100-continue\r\n\r\n")})
    list.emplace_back(as_bytes(text).begin(), as_bytes(text).end());
  return list;
}

}  // namespace weir::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace weir;  // NOLINT
  const std::string answer = fuzz::ask(as_text(fuzz::input_of(bytes, size)));
  WEIR_CHECK(answer.empty() || answer.starts_with("HTTP/1."), "an answer that is no HTTP");
  const std::string plain = fuzz::ask(fuzz::kPlain);
  WEIR_CHECK(plain.starts_with("HTTP/1.1 200"), "a plain request is not answered: " + plain);
  return 0;
}
