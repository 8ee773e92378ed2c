// SPDX-License-Identifier: Apache-2.0
#include "broker/server/http_connections.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace weir::server {
namespace {

int milliseconds_until(Monotonic time) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(time - monotonic_now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1000));
}

}  // namespace

// The room.

HttpRoom::HttpRoom(std::function<void(HttpConnection)> whole)
    : whole_(std::move(whole)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "http room");
    run();
  });
}

HttpRoom::~HttpRoom() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  (void)::eventfd_write(wake_, 1);
  thread_.join();
  for (const Guest& guest : guests_) ::close(guest.connection.socket);
  for (const HttpConnection& connection : coming_) ::close(connection.socket);
  ::close(wake_);
}

void HttpRoom::add(HttpConnection connection) {
  {
    const std::lock_guard lock(mutex_);
    coming_.push_back(std::move(connection));
  }
  (void)::eventfd_write(wake_, 1);
}

void HttpRoom::admit() {
  eventfd_t times = 0;
  (void)::eventfd_read(wake_, &times);
  std::deque<HttpConnection> coming;
  {
    const std::lock_guard lock(mutex_);
    coming.swap(coming_);
  }
  for (HttpConnection& connection : coming) {
    const bool idle = connection.requests != 0 && connection.said.empty();
    guests_.push_back({std::move(connection), monotonic_now() + (idle ? kIdleMax : kRequestMax)});
    // It may have said all in one breath, or that of its next request with the last one.
    if (!serve(guests_.back())) guests_.pop_back();
  }
}

bool HttpRoom::serve(Guest& guest) {
  HttpConnection& connection = guest.connection;
  std::array<char, 4096> part;
  while (connection.said.find("\r\n\r\n") == std::string::npos) {
    const ssize_t got = ::recv(connection.socket, part.data(), part.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return true;
    if (got <= 0 || connection.said.size() + static_cast<std::size_t>(got) > kRequestBytesMax) {
      ::close(connection.socket);
      return false;
    }
    if (connection.said.empty()) guest.ends = monotonic_now() + kRequestMax;
    connection.said.append(part.data(), static_cast<std::size_t>(got));
  }
  whole_(std::move(connection));
  return false;
}

void HttpRoom::run() {
  std::vector<pollfd> wanted;
  while (true) {
    wanted.assign(1, {wake_, POLLIN, 0});
    Monotonic next = monotonic_now() + std::chrono::seconds(1);
    for (const Guest& guest : guests_) {
      wanted.push_back({guest.connection.socket, POLLIN, 0});
      next = std::min(next, guest.ends);
    }
    (void)::poll(wanted.data(), wanted.size(), milliseconds_until(next));
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
    const Monotonic now = monotonic_now();
    auto polled = wanted.begin() + 1;
    for (auto guest = guests_.begin(); guest != guests_.end(); ++polled) {
      bool stays = polled->revents == 0 || serve(*guest);
      if (stays && now >= guest->ends) {
        ::close(guest->connection.socket);
        stays = false;
      }
      guest = stays ? std::next(guest) : guests_.erase(guest);
    }
    admit();
    for (; guests_.size() > kConnectionsMax; guests_.pop_front()) ::close(guests_.front().connection.socket);
  }
}

// The threads.

HttpThreads::HttpThreads(std::function<void(HttpConnection)> answer) : answer_(std::move(answer)) {
  for (std::size_t i = 0; i < kThreads; ++i) threads_.emplace_back([this] { carry_on(); });
  threads_.emplace_back([this] { make_room(); });
}

HttpThreads::~HttpThreads() { stop(); }

void HttpThreads::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  came_.notify_all();
  crowd_.notify_all();
  end_slow(Monotonic(0));
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void HttpThreads::add(HttpConnection connection) {
  const std::lock_guard lock(mutex_);
  if (stopping_) {
    ::close(connection.socket);
    return;
  }
  // Who has been answered less comes first, and of too many the one goes that has been answered most; of several such
  // the one that came first, as in the room: so a crowd that comes at once keeps nobody out who comes behind it.
  const auto behind = std::upper_bound(waiting_.begin(), waiting_.end(), connection,
                                       [](const auto& a, const auto& b) { return a.requests < b.requests; });
  waiting_.insert(behind, std::move(connection));
  if (waiting_.size() > kWaitingMax) {
    const auto first = std::lower_bound(waiting_.begin(), waiting_.end(), waiting_.back(),
                                        [](const auto& a, const auto& b) { return a.requests < b.requests; });
    ::close(first->socket);
    waiting_.erase(first);
  }
  came_.notify_one();
  if (free_ < waiting_.size()) crowd_.notify_one();
}

void HttpThreads::writes_to(socket_t socket) {
  const std::lock_guard lock(mutex_);
  written_[socket] = monotonic_now();
  if (stopping_) ::shutdown(socket, SHUT_RDWR);
}

void HttpThreads::forget(socket_t socket) {
  const std::lock_guard lock(mutex_);  // nobody ends a number that is another connection's by then
  written_.erase(socket);
}

void HttpThreads::end_slow(Monotonic age) {
  const std::lock_guard lock(mutex_);
  for (const auto& [socket, since] : written_) {
    if (monotonic_now() - since >= age) ::shutdown(socket, SHUT_RDWR);
  }
}

void HttpThreads::carry_on() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++free_;
    came_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    --free_;
    if (waiting_.empty()) return;
    HttpConnection connection = std::move(waiting_.front());
    waiting_.pop_front();
    if (stopping_) {
      ::close(connection.socket);
      continue;
    }
    lock.unlock();
    answer_(std::move(connection));
    lock.lock();
  }
}

void HttpThreads::make_room() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    crowd_.wait(lock, [this] { return stopping_ || free_ < waiting_.size(); });
    lock.unlock();
    end_slow(kShare);
    lock.lock();
    crowd_.wait_for(lock, kShare / 4, [this] { return stopping_; });
  }
}

// The stream.

ssize_t HttpStream::read(char* to, std::size_t size) {
  const std::size_t part = std::min(size, connection_.said.size() - taken_);
  std::memcpy(to, connection_.said.data() + taken_, part);
  taken_ += part;
  return static_cast<ssize_t>(part);
}

ssize_t HttpStream::write(const char* from, std::size_t size) {
  if (answer_ends_.count() == 0) {
    answer_ends_ = monotonic_now() + kAnswerMax;
    on_answer_();
  }
  while (true) {
    const ssize_t put = ::send(connection_.socket, from, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put >= 0 || (errno != EINTR && errno != EAGAIN)) return put;
    if (monotonic_now() >= answer_ends_) return -1;
    pollfd wanted{connection_.socket, POLLOUT, 0};
    (void)::poll(&wanted, 1, milliseconds_until(answer_ends_));
  }
}

// What is answered here does not depend on who asks.
void HttpStream::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}
void HttpStream::get_local_ip_and_port(std::string& ip, int& port) const { get_remote_ip_and_port(ip, port); }

void HttpStream::keep_rest() { connection_.said.erase(0, taken_); }

}  // namespace weir::server
