// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <httplib.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "sdk/base/clock.h"

namespace weir::server {

/// An open connection, and what its peer has said that was not worked on yet.
struct HttpConnection {
  socket_t socket = INVALID_SOCKET;
  std::string said;
  int requests = 0;  ///< answered
};

/// Where connections wait until their request is whole, which takes no thread of any: a peer that trickles, or says
/// nothing, is one of many in a call of poll. Of too many the oldest is closed, and who takes too long is.
/// Threads: its own ("http room"); add() by any. Lifetime: `whole` is called on its thread until it is gone.
class HttpRoom {
 public:
  static constexpr std::size_t kConnectionsMax = 256;
  static constexpr std::size_t kRequestBytesMax = 16 << 10;
  static constexpr Monotonic kRequestMax = std::chrono::seconds(5);
  static constexpr Monotonic kIdleMax = std::chrono::seconds(1);  ///< between two requests

  explicit HttpRoom(std::function<void(HttpConnection)> whole);
  ~HttpRoom();
  HttpRoom(const HttpRoom&) = delete;
  HttpRoom& operator=(const HttpRoom&) = delete;
  void add(HttpConnection connection);

 private:
  struct Guest {
    HttpConnection connection;
    Monotonic ends{0};
  };
  void run();
  void admit();
  /// What has come of it. False: it is not here any more.
  bool serve(Guest& guest);

  std::function<void(HttpConnection)> whole_;
  std::list<Guest> guests_;  ///< the oldest first; the thread's
  int wake_ = -1;
  std::mutex mutex_;
  std::deque<HttpConnection> coming_;
  bool stopping_ = false;
  std::thread thread_;
};

/// Threads that answer requests which are whole. While one waits, connections whose peer does not take its answer are
/// ended.
class HttpThreads {
 public:
  static constexpr std::size_t kThreads = 8;
  static constexpr std::size_t kWaitingMax = 128;
  static constexpr Monotonic kShare = std::chrono::milliseconds(500);

  /// `answer` works on a connection's request, on one of the threads.
  explicit HttpThreads(std::function<void(HttpConnection)> answer);
  ~HttpThreads();
  HttpThreads(const HttpThreads&) = delete;
  HttpThreads& operator=(const HttpThreads&) = delete;
  void add(HttpConnection connection);
  /// Ends what is written to, and waits for the threads; from then on what is added is closed.
  void stop();

  /// Its peer is given the answer from now on; until forget() it may be ended.
  void writes_to(socket_t socket);
  void forget(socket_t socket);

 private:
  void carry_on();
  void make_room();
  void end_slow(Monotonic age);

  std::function<void(HttpConnection)> answer_;
  std::mutex mutex_;
  std::condition_variable came_;   ///< one waits, or the end has come
  std::condition_variable crowd_;  ///< one waits and no thread is free, or the end has come
  std::deque<HttpConnection> waiting_;
  std::map<socket_t, Monotonic> written_;  ///< since when
  std::size_t free_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

/// A connection with a whole request, for the library. `on_answer` is called before the first byte of the answer.
class HttpStream final : public httplib::Stream {
 public:
  static constexpr Monotonic kAnswerMax = std::chrono::seconds(15);

  HttpStream(HttpConnection& connection, std::function<void()> on_answer)
      : connection_(connection), on_answer_(std::move(on_answer)) {}

  [[nodiscard]] bool is_readable() const override { return taken_ < connection_.said.size(); }
  [[nodiscard]] bool is_writable() const override { return true; }
  /// What was said, and no more: bodies are of no interest here.
  ssize_t read(char* to, std::size_t size) override;
  ssize_t write(const char* from, std::size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  [[nodiscard]] socket_t socket() const override { return connection_.socket; }
  /// What was said behind the request stays for the next one.
  void keep_rest();

 private:
  HttpConnection& connection_;
  std::function<void()> on_answer_;
  std::size_t taken_ = 0;
  Monotonic answer_ends_{0};  ///< 0: it has not begun
};

}  // namespace weir::server
