// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <httplib.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "sdk/base/clock.h"

namespace weir::server {

/// The connections that the threads of the HTTP port carry, so that one which keeps its thread too long makes room for
/// those that come. [any thread]
class HttpConnections {
 public:
  /// A thread carries a connection of this socket from now on, or waits for its next request.
  void begin(socket_t socket);
  /// Closes it.
  void close(socket_t socket);
  /// Ends up to `most` of those that began longer than `age` ago, the oldest first.
  void end_oldest(std::size_t most, Monotonic age);

 private:
  struct Carried {
    Monotonic since{0};
    bool ended = false;
  };
  std::mutex mutex_;
  std::map<socket_t, Carried> carried_;
};

/// Threads that carry connections, the newest that waits first. While one waits, those that have kept a thread for
/// longer than kShare are ended: who says its request in a breath and reads the answer is gone by then. Of more than
/// may wait the oldest is closed. So a crowd of peers that trickle costs the others a moment.
class HttpThreads final : public httplib::TaskQueue {
 public:
  static constexpr std::size_t kThreads = 32;
  static constexpr std::size_t kWaitingMax = 128;
  static constexpr Monotonic kShare = std::chrono::milliseconds(200);

  explicit HttpThreads(HttpConnections& connections);
  ~HttpThreads() override;
  /// `carry` is to ask refuses().
  void enqueue(std::function<void()> carry) override;
  /// Ends all connections and waits for the threads.
  void shutdown() override;
  /// Whether this thread is to close what it is given, and no more.
  static bool refuses();

 private:
  void carry_on();
  void make_room();

  HttpConnections& connections_;
  std::mutex mutex_;
  std::condition_variable came_;   ///< one waits, or the end has come
  std::condition_variable crowd_;  ///< one waits and no thread is free, or the end has come
  std::deque<std::function<void()>> waiting_;
  std::size_t free_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

/// A connection of which every request, as a whole, and every answer have their time.
class HttpStream final : public httplib::Stream {
 public:
  static constexpr Monotonic kRequestMax = std::chrono::seconds(5);
  static constexpr Monotonic kAnswerMax = std::chrono::seconds(15);

  explicit HttpStream(socket_t socket) : socket_(socket) {}
  /// The next request's time begins. False: none has begun within `patience`.
  bool begin_request(Monotonic patience);

  [[nodiscard]] bool is_readable() const override;
  [[nodiscard]] bool is_writable() const override;
  ssize_t read(char* to, std::size_t size) override;
  ssize_t write(const char* from, std::size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  [[nodiscard]] socket_t socket() const override { return socket_; }

 private:
  const socket_t socket_;
  Monotonic request_ends_{0};
  Monotonic answer_ends_{0};  ///< 0: it has not begun
  std::string buffer_;
  std::size_t taken_ = 0;  ///< of the buffer
};

}  // namespace weir::server
