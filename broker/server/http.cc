// SPDX-License-Identifier: Apache-2.0
#include "broker/server/http.h"

#include <fmt/format.h>
#include <charconv>
#include <nlohmann/json.hpp>
#include <thread>

#include "broker/server/http_connections.h"

namespace weir::server {
namespace {

constexpr int kRequestsMax = 100;  ///< of one connection

std::string error_body(const std::string& sentence) { return nlohmann::json{{"error", sentence}}.dump() + "\n"; }

/// Takes what the library has accepted on its own thread, where its only use is to be handed on.
class Inline final : public httplib::TaskQueue {
 public:
  void enqueue(std::function<void()> task) override { task(); }
  void shutdown() override {}
};

/// The library's server, but for its threads: there a peer that sends a byte a second, or reads none, keeps one for as
/// long as it likes. A connection waits in the room until its request is whole, and is answered by a thread.
class RoomyServer final : public httplib::Server {
 public:
  RoomyServer() {
    new_task_queue = [] { return new Inline; };
  }
  RoomyServer(const RoomyServer&) = delete;
  RoomyServer& operator=(const RoomyServer&) = delete;
  /// While both are there: each hands connections to the other.
  ~RoomyServer() override { threads_.stop(); }

  /// The library lets five connections wait to be taken; whoever comes behind them tries again a second later.
  /// REQUIRES: it is bound.
  void let_many_wait() { (void)::listen(svr_sock_, SOMAXCONN); }

 private:
  bool process_and_close_socket(socket_t socket) override {
    room_.add({socket, {}, 0});
    return true;
  }

  void answer(HttpConnection connection) {
    const socket_t socket = connection.socket;
    bool closed = false;
    bool goes_on = false;
    {
      HttpStream stream(connection, [&] { threads_.writes_to(socket); });
      goes_on = process_request(stream, ++connection.requests == kRequestsMax, closed, nullptr);
      stream.keep_rest();
    }
    threads_.forget(socket);
    if (goes_on && !closed && connection.requests < kRequestsMax) return room_.add(std::move(connection));
    ::shutdown(socket, SHUT_RDWR);
    ::close(socket);
  }

  HttpThreads threads_{[this](HttpConnection connection) { answer(std::move(connection)); }};
  HttpRoom room_{[this](HttpConnection connection) { threads_.add(std::move(connection)); }};
};

class HttplibPort final : public Http {
 public:
  HttplibPort(std::string host, Answer answer) : host_(std::move(host)), answer_(std::move(answer)) {
    // The library's default shares the port with whoever else asks for it, in silence.
    server_.set_socket_options([](socket_t socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    });
    server_.set_payload_max_length(0);
    server_.set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      if (request.method != "GET" && request.method != "HEAD") {
        response.status = 405;
        response.set_header("Allow", "GET, HEAD");
        response.set_content(error_body("only GET is answered here"), "application/json");
      } else {
        HttpAnswer found = answer_(request.path);
        response.status = found.status;
        response.set_content(found.body, found.type);
      }
      return httplib::Server::HandlerResponse::Handled;
    });
    server_.set_error_handler([](const httplib::Request&, httplib::Response& response) {
      if (response.body.empty()) response.set_content(error_body("the request cannot be answered"), "application/json");
    });
  }

  ~HttplibPort() override {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }

  bool bind(int port) {
    if (port == 0) {
      port_ = server_.bind_to_any_port(host_);
      return port_ > 0;
    }
    port_ = port;
    return server_.bind_to_port(host_, port);
  }
  void serve() {
    server_.let_many_wait();
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    // stop() before listen_after_bind() has started would be lost.
    while (!server_.is_running()) std::this_thread::yield();
  }
  [[nodiscard]] std::string address() const override { return fmt::format("http://{}:{}", host_, port_); }

 private:
  std::string host_;
  Answer answer_;
  RoomyServer server_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Http>> Http::open(const std::string& listen, bool or_any, const Answer& answer) {
  const std::size_t colon = listen.rfind(':');
  int port = -1;
  if (colon != std::string::npos) {
    const char* end = listen.data() + listen.size();
    const auto [at, error] = std::from_chars(listen.data() + colon + 1, end, port);
    if (error != std::errc() || at != end) port = -1;
  }
  if (port < 0 || port > 65535)
    return {Code::kInvalid, fmt::format("\"{}\" is no HTTP address; write host:port", listen)};
  const std::string host = listen.substr(0, colon);
  auto server = std::make_unique<HttplibPort>(host, answer);
  if (!server->bind(port)) {
    if (!or_any)
      return {Code::kInUse, fmt::format("cannot listen on {}: the port is in use or not allowed, or the host is not "
                                        "this machine; set \"http\": {{\"listen\": ...}} to another",
                                        listen)};
    server = std::make_unique<HttplibPort>(host, answer);
    if (!server->bind(0)) return {Code::kInUse, fmt::format("cannot listen on any port of {}", host)};
  }
  server->serve();
  return Result<std::unique_ptr<Http>>(std::unique_ptr<Http>(std::move(server)));
}

}  // namespace weir::server
