// SPDX-License-Identifier: Apache-2.0
#include "broker/server/http_connections.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

namespace weir::server {
namespace {

constexpr std::size_t kBufferBytes = 4096;

thread_local bool refusing = false;

/// Waits until `events` of the socket come, or the end of its peer.
bool comes(socket_t socket, short events, Monotonic until) {
  while (true) {
    pollfd wanted{socket, events, 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(std::max(until - monotonic_now(), Monotonic(0)));
    const int answer = ::poll(&wanted, 1, static_cast<int>(left.count()));
    if (answer < 0 && errno == EINTR) continue;
    return answer > 0;
  }
}

}  // namespace

void HttpConnections::begin(socket_t socket) {
  const std::lock_guard lock(mutex_);
  carried_[socket].since = monotonic_now();
}

void HttpConnections::close(socket_t socket) {
  const std::lock_guard lock(mutex_);  // nobody ends a number that is another connection's by then
  carried_.erase(socket);
  ::shutdown(socket, SHUT_RDWR);
  ::close(socket);
}

void HttpConnections::end_oldest(std::size_t most, Monotonic age) {
  const std::lock_guard lock(mutex_);
  const Monotonic now = monotonic_now();
  std::vector<std::pair<Monotonic, socket_t>> old;
  for (const auto& [socket, carried] : carried_) {
    if (!carried.ended && now - carried.since >= age) old.emplace_back(carried.since, socket);
  }
  std::sort(old.begin(), old.end());
  for (std::size_t i = 0; i < std::min(most, old.size()); ++i) {
    const socket_t socket = old[i].second;
    carried_[socket].ended = true;
    ::shutdown(socket, SHUT_RDWR);  // its thread reads the end, and closes it
  }
}

HttpThreads::HttpThreads(HttpConnections& connections) : connections_(connections) {
  for (std::size_t i = 0; i < kThreads; ++i) threads_.emplace_back([this] { carry_on(); });
  threads_.emplace_back([this] { make_room(); });
}

HttpThreads::~HttpThreads() { shutdown(); }

void HttpThreads::enqueue(std::function<void()> carry) {
  std::function<void()> too_many;
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(carry));
    if (waiting_.size() > kWaitingMax) {
      too_many = std::move(waiting_.front());
      waiting_.pop_front();
    }
    if (free_ < waiting_.size()) crowd_.notify_one();
  }
  came_.notify_one();
  if (!too_many) return;
  refusing = true;
  too_many();
  refusing = false;
}

void HttpThreads::carry_on() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++free_;
    came_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    --free_;
    if (waiting_.empty()) return;
    const std::function<void()> carry = std::move(waiting_.back());
    waiting_.pop_back();
    refusing = stopping_;
    lock.unlock();
    carry();
    lock.lock();
  }
}

void HttpThreads::make_room() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    crowd_.wait(lock, [this] { return stopping_ || free_ < waiting_.size(); });
    const std::size_t wanted = waiting_.size() - std::min(free_, waiting_.size());
    lock.unlock();
    connections_.end_oldest(wanted, kShare);
    lock.lock();
    crowd_.wait_for(lock, kShare / 4, [this] { return stopping_; });
  }
}

void HttpThreads::shutdown() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  came_.notify_all();
  crowd_.notify_all();
  connections_.end_oldest(SIZE_MAX, Monotonic(0));
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

bool HttpThreads::refuses() { return refusing; }

bool HttpStream::begin_request(Monotonic patience) {
  answer_ends_ = Monotonic(0);
  if (taken_ == buffer_.size() && !comes(socket_, POLLIN, monotonic_now() + patience)) return false;
  request_ends_ = monotonic_now() + kRequestMax;
  return true;
}

bool HttpStream::is_readable() const { return taken_ < buffer_.size() || comes(socket_, POLLIN, request_ends_); }

bool HttpStream::is_writable() const {
  return comes(socket_, POLLOUT, answer_ends_.count() != 0 ? answer_ends_ : monotonic_now() + kAnswerMax);
}

ssize_t HttpStream::read(char* to, std::size_t size) {
  if (taken_ == buffer_.size()) {
    taken_ = 0;
    buffer_.clear();
    if (monotonic_now() >= request_ends_ || !comes(socket_, POLLIN, request_ends_)) return -1;
    buffer_.resize(kBufferBytes);
    ssize_t got = 0;
    do got = ::recv(socket_, buffer_.data(), buffer_.size(), 0);
    while (got < 0 && errno == EINTR);
    buffer_.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    if (got <= 0) return got;
  }
  const std::size_t part = std::min(size, buffer_.size() - taken_);
  std::memcpy(to, buffer_.data() + taken_, part);
  taken_ += part;
  return static_cast<ssize_t>(part);
}

ssize_t HttpStream::write(const char* from, std::size_t size) {
  if (answer_ends_.count() == 0) answer_ends_ = monotonic_now() + kAnswerMax;
  while (true) {
    if (monotonic_now() >= answer_ends_ || !comes(socket_, POLLOUT, answer_ends_)) return -1;
    const ssize_t put = ::send(socket_, from, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put >= 0 || (errno != EINTR && errno != EAGAIN)) return put;
  }
}

// What is answered here does not depend on who asks.
void HttpStream::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}
void HttpStream::get_local_ip_and_port(std::string& ip, int& port) const { get_remote_ip_and_port(ip, port); }

}  // namespace weir::server
