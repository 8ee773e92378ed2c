// SPDX-License-Identifier: Apache-2.0
#include "broker/server/sockets.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "sdk/base/check.h"
#include "sdk/base/log.h"
#include "sdk/wire/zmq_bytes.h"

namespace weir::server {
namespace {

constexpr int kClientBytesMax = 64 << 20;
constexpr int kClientQueueMax = 64;
constexpr int kAnswersMax = 256;     ///< that wait for a client who does not read; more are dropped, and it asks again
constexpr int kCommitQueueMax = 64;  ///< of a worker: what is behind them stays with it
constexpr int kNewsQueueMax = 4;     ///< messages that wait for a subscriber; more are old news
constexpr int kSubscriptionBytesMax = 256;
constexpr std::size_t kSubscriptionsMax = 1000;
constexpr std::uint64_t kNewsBytesMax = 1 << 20;  ///< of subscriptions under way
constexpr std::size_t kIpcPathMax = 107;          ///< of sockaddr_un
constexpr std::size_t kSmall = 8 << 10;  ///< below this a message is copied out of libzmq's buffer, which it would pin

enum { kRouter, kCommits, kNews };  ///< in watches_

/// Inboxes of workers that were killed ("w-STAGE-PID.ipc"); one that lives may just be waiting for this broker.
void remove_inboxes(const std::string& folder) {
  std::error_code error;
  std::vector<std::filesystem::path> left;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("w-") || !name.ends_with(".ipc")) continue;
    const int pid = std::atoi(name.c_str() + name.rfind('-') + 1);
    if (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH) left.push_back(entry.path());
  }
  for (const auto& path : left) (void)unlink(path.c_str());
}

/// A short folder of our own for the sockets of `directory`: the same one in every life of the broker, so that a killed
/// one leaves nothing behind that its successor does not take over. Whoever holds the directory's lock holds it too.
Result<std::string> make_runtime_directory(const std::string& directory) {
  struct stat of {};
  if (stat(directory.c_str(), &of) != 0)
    return {Code::kIo, fmt::format("cannot look at {}: {}", directory, std::strerror(errno))};
  const char* runtime = getenv("XDG_RUNTIME_DIR");
  std::string path =
      fmt::format("{}/weir-{}-{:x}-{:x}", runtime != nullptr && std::strlen(runtime) < 40 ? runtime : "/tmp", geteuid(),
                  of.st_dev, of.st_ino);
  if (mkdir(path.c_str(), 0700) == 0) return path;
  struct stat found {};
  const bool ours = errno == EEXIST && lstat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode) &&
                    found.st_uid == geteuid() && (found.st_mode & 0077) == 0;
  if (ours) return path;
  return {Code::kIo, fmt::format("cannot use {} for sockets ({}); a shorter data directory needs no such folder", path,
                                 errno == EEXIST ? "somebody else made it" : std::strerror(errno))};
}

/// Connections that each of the three sockets may have: of the files that the process may open, some are for the
/// journal.
std::size_t connections_max() {
  constexpr rlim_t kOwnFiles = 256;
  constexpr rlim_t kConnectionsMin = 64;
  constexpr rlim_t kConnectionsMax = 4096;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kConnectionsMin;
  const rlim_t left = limit.rlim_cur > kOwnFiles ? limit.rlim_cur - kOwnFiles : 0;
  return static_cast<std::size_t>(std::clamp(left / 4, kConnectionsMin, kConnectionsMax));
}

Status bind_to(zmq::socket_t& socket, const std::string& endpoint) {
  try {
    socket.bind(endpoint);
    return {};
  } catch (const zmq::error_t& error) {
    if (error.num() == EADDRINUSE) {
      return {Code::kInUse, fmt::format("{} is in use; set \"broker\": {{\"listen\": ...}} to another port", endpoint)};
    }
    return {Code::kInvalid, fmt::format("cannot listen on {}: {}", endpoint, error.what())};
  }
}

}  // namespace

Result<std::unique_ptr<Sockets>> Sockets::open(const std::string& listen, const std::string& directory,
                                               const Bounds& bounds) {
  std::unique_ptr<Sockets> sockets(new Sockets());
  sockets->router_ = zmq::socket_t(sockets->context_, zmq::socket_type::router);
  sockets->commits_ = zmq::socket_t(sockets->context_, zmq::socket_type::pull);
  sockets->news_ = zmq::socket_t(sockets->context_, zmq::socket_type::xpub);
  sockets->news_.set(zmq::sockopt::linger, 0);
  sockets->news_.set(zmq::sockopt::sndhwm, kNewsQueueMax);
  sockets->news_.set(zmq::sockopt::maxmsgsize, std::int64_t{kSubscriptionBytesMax});
  sockets->router_.set(zmq::sockopt::linger, 0);
  sockets->router_.set(zmq::sockopt::maxmsgsize, std::int64_t{kClientBytesMax});
  sockets->router_.set(zmq::sockopt::rcvhwm, kClientQueueMax);
  sockets->router_.set(zmq::sockopt::sndhwm, kAnswersMax);
  sockets->router_.set(zmq::sockopt::router_handover, true);
  sockets->commits_.set(zmq::sockopt::linger, 0);
  sockets->commits_.set(zmq::sockopt::rcvhwm, kCommitQueueMax);
  sockets->commits_.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(bounds.commit_bytes));
  // Honest workers have a quarter of their memory or four transactions under way, which is less than a segment, and
  // producers their window: twice what one message may take is out of their reach.
  const std::size_t connections = connections_max();
  const auto watch = [&](zmq::socket_t& socket, std::string_view name, std::uint64_t bytes, std::uint64_t together) {
    if (listen.empty()) return;  // nobody to watch, and a thread that looks up fifty times a second
    const PeerWatch::Limits limits{bytes, together, connections};
    sockets->watches_.push_back(std::make_unique<PeerWatch>(sockets->context_, socket, name, limits));
  };
  watch(sockets->router_, "the broker", 2 * std::uint64_t{kClientBytesMax}, 4 * std::uint64_t{kClientBytesMax});
  watch(sockets->commits_, "the broker's commits", 2 * bounds.commit_bytes,
        2 * bounds.commit_bytes + bounds.commit_bytes_together);
  watch(sockets->news_, "the broker's news", kNewsBytesMax, 16 * kNewsBytesMax);
  std::string router = listen;
  std::string commits;
  std::string news;
  if (listen.empty()) {
    std::string folder = directory;
    if (folder.size() + std::strlen("/commits.ipc") + 60 > kIpcPathMax) {
      auto runtime = make_runtime_directory(directory);
      if (!runtime.ok()) return runtime.error();
      sockets->runtime_directory_ = folder = *runtime;
    }
    router = "ipc://" + folder + "/broker.ipc";
    commits = "ipc://" + folder + "/commits.ipc";
    news = "ipc://" + folder + "/news.ipc";
    sockets->socket_files_ = {folder + "/broker.ipc", folder + "/commits.ipc", folder + "/news.ipc"};
    for (const std::string& file : sockets->socket_files_) (void)unlink(file.c_str());
    remove_inboxes(folder);
  }
  if (Status status = bind_to(sockets->router_, router); !status.ok()) return status.error();
  sockets->endpoint_ = sockets->router_.get(zmq::sockopt::last_endpoint);
  if (!listen.empty()) {
    const std::size_t colon = sockets->endpoint_.rfind(':');
    const int port = std::stoi(sockets->endpoint_.substr(colon + 1));
    const bool free_port = listen.ends_with(":0") || listen.ends_with(":*");
    const auto beside = [&](int distance) {
      return fmt::format("{}:{}", sockets->endpoint_.substr(0, colon),
                         free_port ? std::string("*") : std::to_string(port + distance));
    };
    commits = beside(1);
    news = beside(2);
  }
  if (Status status = bind_to(sockets->commits_, commits); !status.ok()) return status.error();
  sockets->commits_endpoint_ = sockets->commits_.get(zmq::sockopt::last_endpoint);
  if (Status status = bind_to(sockets->news_, news); !status.ok()) return status.error();
  sockets->news_endpoint_ = sockets->news_.get(zmq::sockopt::last_endpoint);
  sockets->clients_inbox_ = wire::ZmqInbox(sockets->router_);
  sockets->commits_inbox_ = wire::ZmqInbox(sockets->commits_);
  return sockets;
}

Sockets::~Sockets() {
  for (auto& [incarnation, socket] : workers_) socket.set(zmq::sockopt::linger, 200);
  workers_.clear();
  watches_.clear();
  // Whoever waits for the last word, as a consumer for the end of its stream, still gets it.
  router_.set(zmq::sockopt::linger, 200);
  router_.close();
  commits_.close();
  news_.close();
  for (const std::string& file : socket_files_) (void)unlink(file.c_str());
  if (!runtime_directory_.empty()) (void)rmdir(runtime_directory_.c_str());
}

void Sockets::note_taken(std::size_t socket, zmq::message_t& part) {
  if (!watches_.empty()) watches_[socket]->took(part);
}

Sockets::Ready Sockets::wait(std::span<const int> descriptors, std::chrono::milliseconds timeout) {
  WEIR_CHECK(descriptors.size() <= kDescriptorsMax, "there is room for all descriptors");
  std::array<pollfd, 2 + kDescriptorsMax> polled{};
  polled[0] = {clients_inbox_.descriptor(), POLLIN, 0};
  polled[1] = {commits_inbox_.descriptor(), POLLIN, 0};
  for (std::size_t i = 0; i < descriptors.size(); ++i) polled[2 + i] = {descriptors[i], POLLIN, 0};
  const bool nothing_left = clients_inbox_.surely_empty() && commits_inbox_.surely_empty();
  // What interrupts it has something to be looked at, or nothing to do here.
  const int woken = ::poll(polled.data(), 2 + descriptors.size(), nothing_left ? static_cast<int>(timeout.count()) : 0);
  Ready ready{!clients_inbox_.surely_empty(), !commits_inbox_.surely_empty(), {}};
  if (woken <= 0) return ready;
  ready.clients |= polled[0].revents != 0;
  ready.commits |= polled[1].revents != 0;
  for (std::size_t i = 0; i < descriptors.size(); ++i) ready.descriptors[i] = polled[2 + i].revents != 0;
  return ready;
}

std::optional<core::Buffer> Sockets::receive_commit() {
  zmq::message_t message;
  if (!commits_inbox_.receive(message)) return std::nullopt;
  note_taken(kCommits, message);
  if (message.size() < kSmall) {
    const BytesView view(static_cast<const std::byte*>(message.data()), message.size());
    return core::Buffer::of(Bytes(view.begin(), view.end()));
  }
  auto held = std::make_shared<zmq::message_t>(std::move(message));
  const std::span<std::byte> bytes(static_cast<std::byte*>(held->data()), held->size());
  return core::Buffer{std::move(held), bytes};
}

std::optional<Sockets::FromClient> Sockets::receive_client() {
  zmq::message_t id;
  if (!clients_inbox_.receive(id)) return std::nullopt;
  FromClient from;
  from.client = id.to_string();
  // REQ peers put an empty frame in front; the last frame is the message.
  bool more = id.more();
  while (more) {
    zmq::message_t frame;
    if (!clients_inbox_.receive(frame)) break;
    note_taken(kRouter, frame);
    const BytesView view(static_cast<const std::byte*>(frame.data()), frame.size());
    from.message.assign(view.begin(), view.end());
    more = frame.more();
  }
  return from;
}

void Sockets::connect(Incarnation incarnation, const std::string& inbox) {
  zmq::socket_t socket(context_, zmq::socket_type::push);
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::sndhwm, 0);  // credit bounds what is under way
  socket.set(zmq::sockopt::reconnect_ivl, -1);
  try {
    socket.connect(inbox);
  } catch (const zmq::error_t& error) {
    log::warning("cannot reach a worker's inbox at {}: {}", inbox, error.what());
    return;  // it will be silent, and fenced
  }
  workers_.emplace(incarnation, std::move(socket));
}

void Sockets::disconnect(Incarnation incarnation) {
  const auto found = workers_.find(incarnation);
  if (found == workers_.end()) return;
  // What says that it is fenced may still be on its way.
  found->second.set(zmq::sockopt::linger, 200);
  workers_.erase(found);
}

void Sockets::send(Incarnation incarnation, Bytes message) {
  const auto found = workers_.find(incarnation);
  if (found == workers_.end()) return;
  // A message that cannot be taken leaves a gap in the numbers, which ends the incarnation.
  try {
    (void)found->second.send(wire::zmq_message(std::move(message)), zmq::send_flags::dontwait);
  } catch (const zmq::error_t& error) {
    log::warning("cannot send to a worker: {}", error.what());
  }
}

void Sockets::reply(const std::string& client, Bytes message) {
  clients_inbox_.sent();
  try {
    (void)router_.send(zmq::buffer(client), zmq::send_flags::sndmore | zmq::send_flags::dontwait);
    (void)router_.send(wire::zmq_message(std::move(message)), zmq::send_flags::dontwait);
  } catch (const zmq::error_t& error) {
    log::debug("cannot answer a client: {}", error.what());
  }
}

bool Sockets::wanted(const std::string& topic) {
  // libzmq tells of a topic's first subscriber and of its last: one byte, 1 or 0, and the topic's beginning.
  zmq::message_t said;
  while (news_.recv(said, zmq::recv_flags::dontwait)) {
    note_taken(kNews, said);
    const std::string text = said.to_string();
    if (text.empty()) continue;
    if (text.front() == 0) {
      subscriptions_.erase(text.substr(1));
    } else if (subscriptions_.size() < kSubscriptionsMax) {
      subscriptions_.insert(text.substr(1));
    }
  }
  return std::any_of(subscriptions_.begin(), subscriptions_.end(),
                     [&](const std::string& prefix) { return topic.starts_with(prefix); });
}

void Sockets::publish(const std::string& topic, Bytes message) {
  try {
    (void)news_.send(zmq::buffer(topic), zmq::send_flags::sndmore | zmq::send_flags::dontwait);
    (void)news_.send(wire::zmq_message(std::move(message)), zmq::send_flags::dontwait);
  } catch (const zmq::error_t& error) {
    log::debug("cannot publish: {}", error.what());
  }
}

}  // namespace weir::server
