// SPDX-License-Identifier: Apache-2.0
#include "sdk/client/client_connection.h"

#include <algorithm>
#include <cerrno>
#include <utility>
#include <zmq.hpp>

#include "sdk/client/endpoint_file.h"
#include "sdk/wire/map.h"

namespace weir::client {
namespace {

constexpr int kQueueMax = 256;
constexpr std::int64_t kAnswerBytesMax = 64 << 20;
constexpr std::chrono::milliseconds kLookEvery{200};

}  // namespace

struct ClientConnection::Sockets {
  zmq::context_t context{1};
  zmq::socket_t dealer{context, zmq::socket_type::dealer};
};

Result<ClientConnection> ClientConnection::open(const std::string& endpoint) {
  try {
    auto sockets = std::make_unique<Sockets>();
    sockets->dealer.set(zmq::sockopt::linger, 0);
    sockets->dealer.set(zmq::sockopt::sndhwm, kQueueMax);
    sockets->dealer.set(zmq::sockopt::maxmsgsize, kAnswerBytesMax);
    sockets->dealer.connect(endpoint);
    return ClientConnection(std::move(sockets), endpoint);
  } catch (const zmq::error_t& error) {
    return {Code::kInvalid, endpoint + " cannot be connected to: " + error.what()};
  }
}

Result<ClientConnection> ClientConnection::open_at(const std::string& where) {
  if (is_endpoint(where)) return open(where);
  const Result<EndpointFile> file = read_endpoint(where);
  if (!file) return file.error();
  return open(file->broker);
}

ClientConnection::ClientConnection(std::unique_ptr<Sockets> sockets, std::string endpoint)
    : sockets_(std::move(sockets)), endpoint_(std::move(endpoint)) {}
ClientConnection::ClientConnection(ClientConnection&&) noexcept = default;
ClientConnection& ClientConnection::operator=(ClientConnection&&) noexcept = default;
ClientConnection::~ClientConnection() = default;

bool ClientConnection::send(BytesView message) {
  try {
    return sockets_->dealer.send(zmq::buffer(message.data(), message.size()), zmq::send_flags::dontwait).has_value();
  } catch (const zmq::error_t&) {
    return false;  // as lost as a message on the way; no answer will come
  }
}

std::optional<Bytes> ClientConnection::receive(std::chrono::milliseconds patience) {
  try {
    zmq::pollitem_t item{sockets_->dealer.handle(), 0, ZMQ_POLLIN, 0};
    if (zmq::poll(&item, 1, patience) == 0) return {};
    zmq::message_t message;
    if (!sockets_->dealer.recv(message, zmq::recv_flags::dontwait)) return {};
    while (message.more() && sockets_->dealer.recv(message, zmq::recv_flags::dontwait)) {
    }
    const auto* bytes = static_cast<const std::byte*>(message.data());
    return Bytes(bytes, bytes + message.size());
  } catch (const zmq::error_t& error) {
    if (error.num() == EINTR) return {};
    throw;  // the socket is ours and open: nothing else can be wrong with it
  }
}

Result<Bytes> ClientConnection::ask(BytesView request, std::chrono::milliseconds deadline,
                                    const std::function<bool()>& gone) {
  send(request);
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    std::optional<Bytes> answer = receive(gone ? std::min(left, kLookEvery) : left);
    if (!answer && gone && gone())
      return {Code::kNotFound, "the broker at " + endpoint_ + " ended before it had answered"};
    if (!answer) continue;
    const Result<wire::MapReader> map = wire::MapReader::parse(*answer);
    if (!map) return map.error();
    if (map->op() == "refused") return {Code::kRefused, map->text("error")};
    return *std::move(answer);
  }
  return {Code::kUnavailable, "the broker at " + endpoint_ + " did not answer within " +
                                  std::to_string(deadline.count() / 1000) + " s; is it still running?"};
}

}  // namespace weir::client
